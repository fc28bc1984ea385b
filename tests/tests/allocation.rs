//! Running a model allocates nothing, and planning it no more than is stated.

use std::hint::black_box;

use burnlite_runtime::{Error, Interpreter, InterpreterOptions, Kernels};
use burnlite_tests::{Array, Fixture, for_each_type, hostile};
use burnlite_tflite::{
    ElementType, Graph, MirrorPadOptions, Model, Op, Operator, ResizeBilinearOptions, Tensor,
};
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

#[test]
fn invoke_allocates_nothing() {
    for fixture in Fixture::folder("networks").iter().chain(&Fixture::folder("operators")) {
        let model = Model::from_bytes(&fixture.bytes).unwrap();
        let mut interpreter = Interpreter::new(&model).unwrap();
        for (index, input) in fixture.inputs.iter().enumerate() {
            interpreter.resize_input(index, &input.shape()[1..]).unwrap();
        }
        for (index, input) in fixture.inputs.iter().enumerate() {
            for_each_type!(input, (shape, values) => {
                interpreter.set_input(index, &values[..shape[1..].iter().product()]).unwrap();
            });
        }
        let counts = allocation_counter::measure(|| interpreter.invoke().unwrap());
        assert_eq!((counts.count_total, counts.bytes_total), (0, 0), "{}", fixture.name);
    }
}

/// What `docs/security.md` states: the limit for tensors, and so many bytes for each of the file.
#[test]
fn a_strangers_file_takes_no_more_memory_than_is_stated() {
    let mut random = Pcg32::new(13, 1);
    for fixture in Fixture::folder("operators") {
        for changes in 0..8 {
            let mut bytes = fixture.bytes.clone();
            for _ in 0..changes {
                let bit = random.next_u32() as usize % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let peak = allocation_counter::measure(|| _ = black_box(hostile::run(&bytes))).bytes_max;
            let allowed = 64 * bytes.len() + 2 * hostile::MEMORY;
            assert!(peak <= allowed as u64, "{}: {peak} of {allowed} bytes", fixture.name);
        }
    }
}

/// As above, for models of many operators that each compute something in advance.
#[test]
fn what_many_operators_compute_in_advance_is_bounded() {
    const OPERATORS: usize = 2_000;
    let resize = Op::ResizeBilinear(ResizeBilinearOptions::default());
    let mirror = Op::MirrorPad(MirrorPadOptions::default());
    let bombs: [(Op, &[usize], Tensor<'_>); 2] = [
        (resize, &[1, 1, 1, 1], Tensor::constant("size", [2], &[1 << 16, 1])),
        (mirror, &[2; 8], Tensor::constant("margins", [8, 2], &[1; 16])),
    ];
    for (op, image, second) in bombs {
        let mut graph = Graph::default();
        let x = graph.add_tensor(Tensor::new("x", ElementType::Int8, image));
        let second = graph.add_tensor(second);
        for _ in 0..OPERATORS {
            let y = graph.add_tensor(Tensor::new("", ElementType::Int8, []));
            graph.operators.push(Operator::new(op.clone(), [x, second], [y]));
        }
        graph.inputs = vec![x];
        refuse_within_bounds(&Model::new(graph).to_bytes().unwrap());
    }
}

/// Many constants that lie in the same bytes of the file, where they are not aligned, have a copy each.
#[test]
fn copies_of_constants_are_bounded() {
    let mut graph = Graph::default();
    let floats: Vec<f32> = (0..1 << 14).map(|value| value as f32).collect();
    for _ in 0..2_000 {
        graph.add_tensor(Tensor::constant("c", [floats.len()], &floats));
    }
    let bytes = Model::new(graph).to_bytes().unwrap();
    let unaligned = [&[0], &bytes[..]].concat();
    refuse_within_bounds(&unaligned[1..]);
}

fn refuse_within_bounds(bytes: &[u8]) {
    let mut refused = None;
    let peak = allocation_counter::measure(|| {
        let model = Model::from_bytes(bytes).expect("it can be read");
        let options = InterpreterOptions {
            max_arena_bytes: hostile::MEMORY,
            max_packed_bytes: hostile::MEMORY,
            ..InterpreterOptions::default()
        };
        refused = Interpreter::with_options(&model, &options).err();
    });
    assert!(matches!(refused, Some(Error::TooLarge { .. })), "{refused:?}");
    let allowed = 64 * bytes.len() + 3 * hostile::MEMORY + TABLES;
    assert!(peak.bytes_max <= allowed as u64, "{} of {allowed} bytes", peak.bytes_max);
}

/// What kernels' tables may take in any case.
const TABLES: usize = 1 << 24;

#[test]
fn tensors_lie_in_the_memory_that_the_caller_gives() {
    let fixture = Fixture::named("networks/tutorial_batch1_int16x8");
    let model = Model::from_bytes(&fixture.bytes).unwrap();
    let options = InterpreterOptions { kernels: Kernels::InPlace, ..InterpreterOptions::default() };
    let needed = Interpreter::with_options(&model, &options).unwrap().arena_bytes();
    // Dirty, so that nothing relies on zeros, and not aligned.
    let mut memory = vec![0xa5; needed + 32];
    let start = memory.as_ptr().align_offset(16) + 1;
    let mut interpreter =
        Interpreter::with_arena(&model, &options, &mut memory[start..][..15 + needed]).unwrap();
    assert_eq!(interpreter.packed_bytes(), 0);
    let Array::Float32(_, values) = &fixture.inputs[0] else { panic!("float inputs") };
    let Array::Float32(_, expected) = &fixture.outputs[0] else { panic!("float outputs") };
    interpreter.set_input(0, &values[..784]).unwrap();
    interpreter.invoke().unwrap();
    assert_eq!(interpreter.output::<f32>(0).unwrap(), &expected[..10]);
    // A clone has memory of its own.
    let mut clone = interpreter.clone();
    clone.set_input(0, &values[784..1568]).unwrap();
    clone.invoke().unwrap();
    assert_eq!(clone.output::<f32>(0).unwrap(), &expected[10..20]);
    assert_eq!(interpreter.output::<f32>(0).unwrap(), &expected[..10]);
    let error = Interpreter::with_arena(&model, &options, &mut memory[start..][..14 + needed]).unwrap_err();
    assert_eq!(error, Error::ArenaTooSmall { needed, found: needed - 1 });
}

#[test]
fn an_arena_that_is_too_small_for_another_batch_stays_as_it_is() {
    let fixture = Fixture::named("networks/tutorial_int16x8");
    let model = Model::from_bytes(&fixture.bytes).unwrap();
    let options = InterpreterOptions::default();
    let needed = Interpreter::new(&model).unwrap().arena_bytes();
    let mut memory = vec![0; needed + 15];
    let mut interpreter = Interpreter::with_arena(&model, &options, &mut memory).unwrap();
    let Array::Float32(_, values) = &fixture.inputs[0] else { panic!("float inputs") };
    let Array::Float32(_, expected) = &fixture.outputs[0] else { panic!("float outputs") };
    interpreter.set_input(0, &values[..784]).unwrap();
    assert!(matches!(interpreter.resize_input(0, &[2, 28, 28]), Err(Error::ArenaTooSmall { .. })));
    interpreter.invoke().unwrap();
    assert_eq!(interpreter.output::<f32>(0).unwrap(), &expected[..10]);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(black_box(vec![0u8; 100]))).bytes_total, 100);
}

#[test]
fn clones_share_the_plan_and_not_the_memory() {
    let fixture = Fixture::named("networks/tutorial_batch1_int8");
    let model = Model::from_bytes(&fixture.bytes).unwrap();
    let mut first = Interpreter::new(&model).unwrap();
    let mut second = first.clone();
    let Array::Float32(_, values) = &fixture.inputs[0] else { panic!("float inputs") };
    first.set_input(0, &values[..784]).unwrap();
    second.set_input(0, &values[784..1568]).unwrap();
    first.invoke().unwrap();
    second.invoke().unwrap();
    let Array::Float32(_, expected) = &fixture.outputs[0] else { panic!("float outputs") };
    assert_eq!(first.output::<f32>(0).unwrap(), &expected[..10]);
    assert_eq!(second.output::<f32>(0).unwrap(), &expected[10..20]);
}

#[test]
fn another_batch_gives_the_same_rows() {
    let fixture = Fixture::named("networks/tutorial_int16x8");
    let model = Model::from_bytes(&fixture.bytes).unwrap();
    let mut interpreter = Interpreter::new(&model).unwrap();
    let Array::Float32(shape, values) = &fixture.inputs[0] else { panic!("float inputs") };
    interpreter.resize_input(0, &[shape[0], 28, 28]).unwrap();
    interpreter.set_input(0, values).unwrap();
    interpreter.invoke().unwrap();
    let Array::Float32(_, expected) = &fixture.outputs[0] else { panic!("float outputs") };
    assert_eq!(interpreter.output::<f32>(0).unwrap(), expected);
    let error = interpreter.resize_input(0, &[1, 28, 27]).unwrap_err().to_string();
    assert!(error.contains("[-1, 28, 28]") && error.contains("[1, 28, 27]"), "{error}");
}
