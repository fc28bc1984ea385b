//! What `burnlite firmware` writes compiles without `std` and runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use burnlite_tflite::{ElementType, Graph, Model, Op, Operator, ReshapeOptions, Tensor};

use crate::command::{Folder, burnlite, fail, fixtures, header_and_elements, npz_array, succeed};

const MODEL: &str = "networks/tutorial_batch1_int16x8.tflite";
const FILES: [&str; 4] = ["Cargo.toml", "README.md", "src/lib.rs", "src/model.tflite"];

#[test]
fn the_crate_of_the_tests_is_what_is_written() {
    let (folder, committed) = (Folder::new(), fixtures().join("../firmware/tutorial"));
    let crate_folder = folder.path("tutorial");
    let said = succeed(["firmware", MODEL, "-o", &crate_folder, "--runtime", "../../../crates/runtime"]);
    assert!(said.ends_with("crate tutorial, 24,296 bytes of model, 20,280 bytes of arena\n"), "{said}");
    for file in FILES {
        let (written, place) = (folder.read(&format!("tutorial/{file}")), committed.join(file));
        if std::env::var_os("BURNLITE_UPDATE").is_some() {
            fs::write(place, written).expect("the crate can be written");
        } else {
            assert!(
                fs::read(place).expect("a file") == written,
                "{file} is stale: BURNLITE_UPDATE=1 cargo test -p burnlite"
            );
        }
    }
    assert_eq!(folder.names("."), ["tutorial"]);
}

/// With a panic handler of its own, the program would not even link if anything in it used `std`.
#[test]
fn the_program_without_std_gives_the_logits() {
    let program = fixtures().join("../firmware");
    for (file, array) in [("image.f32", "input_0"), ("logits.f32", "output_0")] {
        let npy = npz_array("networks/tutorial_batch1_int16x8.npz", array);
        let bytes = fs::read(program.join("src").join(file)).expect("a file");
        assert!(header_and_elements(&npy).1.starts_with(&bytes), "{file} is not the first of the fixture");
    }
    let ran = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--locked", "--manifest-path"])
        .arg(program.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware"))
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("arena: 20280 bytes\n") && said.contains(", 0 to run it\n"), "{said}");
}

#[test]
fn a_model_without_signature_or_with_quantized_inputs_is_written_too() {
    let folder = Folder::new();
    let model = "networks/tutorial_int8_io.tflite";
    succeed([
        "firmware",
        model,
        "-o",
        &folder.path("int8"),
        "--numerics",
        "tflite-micro",
        "--signature",
        "serving_default",
    ]);
    let library = String::from_utf8(folder.read("int8/src/lib.rs")).expect("text");
    for part in [
        "pub type Element = i8;",
        "pub const ZERO_POINT: i64 = -128;",
        "numerics: Numerics::TfLiteMicro,",
        "signature: Some(alloc::string::String::from(\"serving_default\")),",
    ] {
        assert!(library.contains(part), "{part}: {library}");
    }
    let manifest = String::from_utf8(folder.read("int8/Cargo.toml")).expect("text");
    assert!(manifest.contains("burnlite-runtime = { version = \""), "{manifest}");
}

#[test]
fn wrong_uses_leave_nothing_behind() {
    let folder = Folder::new();
    let taken = folder.path("taken");
    fs::create_dir(&taken).expect("a folder");
    fail(&[
        (&format!("firmware {MODEL} -o {taken}"), 1, "exists: remove it, or name another folder"),
        (&format!("firmware {MODEL} -o {}", folder.path("16x8")), 1, "is no name for a crate"),
        (&format!("firmware {MODEL}"), 2, "--output <DIR>"),
        (&format!("firmware no/such.tflite -o {}", folder.path("new")), 1, "cannot read 'no/such.tflite'"),
    ]);
    let model = folder.write("int4.tflite", &of_int4());
    let ended = burnlite(["firmware", &model, "-o", &folder.path("new")]);
    assert!(ended.stderr.contains("input 0 'x' holds int4, which no Rust type does"), "{ended:?}");
    assert_eq!(folder.names("."), ["int4.tflite", "taken"]);
}

/// A model that gives pairs of 4-bit integers another shape.
fn of_int4() -> Vec<u8> {
    let mut graph = Graph::default();
    let [x, y] = ["x", "y"].map(|name| graph.add_tensor(Tensor::new(name, ElementType::Int4, [2])));
    let reshape = Op::Reshape(ReshapeOptions { new_shape: vec![2] });
    graph.operators.push(Operator::new(reshape, [x], [y]));
    (graph.inputs, graph.outputs) = (vec![x], vec![y]);
    Model::new(graph).to_bytes().expect("a model that can be written")
}
