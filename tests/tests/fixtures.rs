//! The runtime against LiteRT's and tflite-micro's reference kernels, on committed fixtures.

use burnlite_runtime::{Interpreter, InterpreterOptions, KERNELS, Kernels, Numerics};
use burnlite_tests::{Array, Fixture, run};
use burnlite_tflite::Model;

/// Integers must be equal; floats within 4 units in the last place, or within `tolerance` of the array's largest value.
fn differences(found: &[Array], expected: &[Array], tolerance: f32) -> Result<(), String> {
    if found.len() != expected.len() {
        return Err(format!("{} outputs instead of {}", found.len(), expected.len()));
    }
    for (found, expected) in found.iter().zip(expected) {
        match (found, expected) {
            (Array::Float32(shape, found), Array::Float32(expected_shape, expected))
                if shape == expected_shape =>
            {
                floats_agree(found, expected, tolerance)?;
            }
            _ if found == expected => {}
            _ => return Err(first_difference(found, expected)),
        }
    }
    Ok(())
}

fn floats_agree(found: &[f32], expected: &[f32], tolerance: f32) -> Result<(), String> {
    let finite = |value: &&f32| value.is_finite();
    let largest = expected.iter().filter(finite).fold(0f32, |largest, value| largest.max(value.abs()));
    for (index, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let ulps = (a.to_bits() as i32).abs_diff(b.to_bits() as i32);
        let close = (a - b).abs() <= tolerance * largest;
        if !(a == b || (a.is_nan() && b.is_nan()) || ulps <= 4 || close) {
            return Err(format!("element {index} is {a:e} instead of {b:e}"));
        }
    }
    Ok(())
}

fn first_difference(found: &Array, expected: &Array) -> String {
    if found.shape() != expected.shape() || found.element_type() != expected.element_type() {
        let describe = |array: &Array| format!("{} {:?}", array.element_type(), array.shape());
        return format!("{} instead of {}", describe(found), describe(expected));
    }
    let text = |array: &Array| burnlite_tests::for_each_type!(array, (_, values) => format!("{values:?}"));
    let (found, expected) = (text(found), text(expected));
    let (found, expected): (Vec<_>, Vec<_>) = (found.split(", ").collect(), expected.split(", ").collect());
    let differing: Vec<_> = (0..found.len()).filter(|&index| found[index] != expected[index]).collect();
    let index = differing[0];
    format!(
        "{} of {} elements differ, first {index}: {} instead of {}",
        differing.len(),
        found.len(),
        found[index],
        expected[index]
    )
}

/// Runs every fixture and reports all that differ.
fn check(fixtures: &[Fixture], tolerance_of_sums: f32, options: &InterpreterOptions) {
    assert!(!fixtures.is_empty());
    let mut faults = Vec::new();
    for fixture in fixtures {
        let result = Model::from_bytes(&fixture.bytes)
            .map_err(|error| error.to_string())
            .and_then(|model| run(&model, options, &fixture.inputs).map_err(|error| error.to_string()))
            .and_then(|outputs| {
                differences(&outputs, &fixture.outputs, tolerance(fixture, tolerance_of_sums))
            });
        if let Err(fault) = result {
            faults.push(format!("{}: {fault}", fixture.name));
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {} fixtures differ:\n{}",
        faults.len(),
        fixtures.len(),
        faults.join("\n")
    );
}

/// Beside the greatest floats and infinities, a tolerance relative to the largest value would hide every difference.
fn tolerance(fixture: &Fixture, tolerance_of_sums: f32) -> f32 {
    if fixture.name.ends_with("special_values") { 0.0 } else { tolerance_of_sums }
}

const OPERATORS: f32 = 1e-6;
const NETWORKS: f32 = 1e-4;

fn kernels(kernels: Kernels) -> InterpreterOptions {
    InterpreterOptions { kernels, ..InterpreterOptions::default() }
}

#[test]
fn operators_equal_the_reference() {
    check(&Fixture::folder("operators"), OPERATORS, &kernels(Kernels::Auto));
}

#[test]
fn networks_made_by_tensorflow_equal_the_reference() {
    check(&Fixture::folder("networks"), NETWORKS, &kernels(Kernels::Auto));
    check(&Fixture::folder("float16"), NETWORKS, &kernels(Kernels::Auto));
}

#[test]
fn everything_equals_the_reference_with_plain_loops() {
    for plain in [Kernels::Reference, Kernels::InPlace] {
        check(&Fixture::folder("operators"), OPERATORS, &kernels(plain));
        check(&Fixture::folder("networks"), NETWORKS, &kernels(plain));
    }
}

#[test]
fn everything_equals_the_reference_with_each_kind_of_kernels() {
    let available: Vec<_> = KERNELS.iter().filter(|kind| kind.is_available()).collect();
    for kind in &available {
        check(&Fixture::folder("operators"), OPERATORS, &kernels(Kernels::Named(kind.name)));
        check(&Fixture::folder("networks"), NETWORKS, &kernels(Kernels::Named(kind.name)));
    }
    let names: Vec<_> = available.iter().map(|kind| kind.name).collect();
    #[expect(clippy::print_stdout, reason = "emulated machines are checked for it")]
    {
        println!("kernels that ran: {}", names.join(" "));
    }
}

#[test]
fn networks_planned_for_little_memory_equal_the_reference() {
    let options = InterpreterOptions { keep_inputs: false, ..kernels(Kernels::InPlace) };
    check(&Fixture::folder("networks"), NETWORKS, &options);
}

/// A host can say how much memory a device must have.
#[test]
fn every_kind_of_kernels_needs_the_same_arena() {
    for fixture in Fixture::folder("networks") {
        let model = Model::from_bytes(&fixture.bytes).unwrap();
        let bytes = |kind| Interpreter::with_options(&model, &kernels(kind)).unwrap().arena_bytes();
        for kind in KERNELS.iter().filter(|kind| kind.is_available()) {
            assert_eq!(bytes(Kernels::Named(kind.name)), bytes(Kernels::Auto), "{}", fixture.name);
        }
    }
}

#[test]
fn networks_whose_tensors_are_all_kept_equal_the_reference() {
    let options = InterpreterOptions { keep_intermediates: true, ..InterpreterOptions::default() };
    check(&Fixture::folder("networks"), NETWORKS, &options);
}

#[test]
fn operators_and_networks_equal_tflite_micro() {
    let options = InterpreterOptions { numerics: Numerics::TfLiteMicro, ..InterpreterOptions::default() };
    check(&Fixture::micro_folder("operators"), OPERATORS, &options);
    check(&Fixture::micro_folder("networks"), NETWORKS, &options);
}

#[test]
fn what_tensorflow_wrote_is_read_and_written_and_read_again() {
    for fixture in Fixture::folder("networks").iter().chain(&Fixture::folder("operators")) {
        let model = Model::from_bytes(&fixture.bytes).unwrap();
        let bytes = model.to_bytes().unwrap();
        let again = Model::from_bytes(&bytes).unwrap();
        assert_eq!(again.to_bytes().unwrap(), bytes, "{}", fixture.name);
        assert_eq!(again.graphs[0].tensors, model.graphs[0].tensors, "{}", fixture.name);
    }
}
