use crate::command::{Folder, fail, header_and_elements, npy, npz_array, succeed, unsupported_model};

/// Runs a fixture's model on its samples with further arguments; its output must be the array of the given fixture.
fn assert_output(model: &str, inputs: &str, arguments: &[&str], expected: &str) {
    let folder = Folder::new();
    let out = folder.path("out");
    let line = [&["run", model, "--input", inputs, "--output-dir", &out], arguments].concat();
    succeed(line);
    let (found, expected) = (folder.read("out/output_0.npy"), npz_array(expected, "output_0"));
    assert_eq!(header_and_elements(&found), header_and_elements(&expected), "{model}");
}

#[test]
fn outputs_are_those_of_the_reference() {
    for model in ["tutorial_int8_io", "tutorial_int16x8_io", "tutorial_int8"] {
        let (file, samples) = (format!("networks/{model}.tflite"), format!("networks/{model}.npz"));
        assert_output(&file, &samples, &["--raw", "--samples"], &samples);
    }
}

#[test]
fn real_numbers_are_quantized_at_the_input_and_dequantized_at_the_output() {
    // The same network with float inputs and outputs has QUANTIZE and DEQUANTIZE of its own.
    let with_floats = "networks/tutorial_int8.npz";
    assert_output("networks/tutorial_int8_io.tflite", with_floats, &["--samples"], with_floats);
}

#[test]
fn the_model_s_own_integers_are_taken_as_they_are() {
    let samples = "networks/tutorial_int8_io.npz";
    assert_output("networks/tutorial_int8_io.tflite", samples, &["--samples"], "networks/tutorial_int8.npz");
}

#[test]
fn arrays_go_to_inputs_by_position_by_tensor_and_by_signature() {
    let folder = Folder::new();
    let image = npz_array("networks/tutorial_int8.npz", "input_0");
    // The first of the samples, with its batch of 1.
    let (_, elements) = header_and_elements(&image);
    let image = folder.write("image.npy", &npy("<f4", "(1, 28, 28)", &elements[..28 * 28 * 4]));
    let expected = npz_array("networks/tutorial_int8.npz", "output_0");
    let mut lines = Vec::new();
    for input in [image.clone(), format!("image={image}"), format!("serving_default_image:0={image}")] {
        let out = folder.path("out");
        lines.push(succeed(["run", "networks/tutorial_int8.tflite", "-i", &input, "-o", &out]));
        let output = folder.read("out/output_0.npy");
        let (header, elements) = header_and_elements(&output);
        assert_eq!(header, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 10), }");
        assert_eq!(elements, &header_and_elements(&expected).1[..40]);
    }
    let line =
        format!("{}: float32 [1, 10] 'StatefulPartitionedCall_1:0'\n", folder.path("out/output_0.npy"));
    assert_eq!(lines, [line.clone(), line.clone(), line]);
    assert_eq!(folder.names("out"), ["output_0.npy"]);
}

#[test]
fn float64_is_what_numpy_users_have() {
    let folder = Folder::new();
    let singles = npz_array("networks/tutorial_int8.npz", "input_0");
    let (header, elements) = header_and_elements(&singles);
    let singles =
        elements.chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let doubles: Vec<u8> = singles.flat_map(|value| f64::from(value).to_le_bytes()).collect();
    let shape = header.split_once("'shape': ").expect("a shape").1;
    let shape = &shape[..=shape.find(')').expect("its end")];
    let input = folder.write("doubles.npy", &npy("<f8", shape, &doubles));
    let samples = "networks/tutorial_int8.npz";
    assert_output("networks/tutorial_int8.tflite", &input, &["--samples"], samples);
}

#[test]
fn a_batch_may_have_any_size_where_the_model_leaves_it_open() {
    let folder = Folder::new();
    let images = npz_array("networks/tutorial_int8.npz", "input_0");
    let images = folder.write("images.npy", &npy("<f4", "(15, 28, 28)", header_and_elements(&images).1));
    succeed(["run", "networks/tutorial_int8.tflite", "-i", &images, "-o", &folder.path("out")]);
    let (found, expected) =
        (folder.read("out/output_0.npy"), npz_array("networks/tutorial_int8.npz", "output_0"));
    assert!(header_and_elements(&found).0.contains("'shape': (15, 10)"));
    assert_eq!(header_and_elements(&found).1, header_and_elements(&expected).1);
}

#[test]
fn several_inputs_and_outputs_keep_the_model_s_order() {
    let folder = Folder::new();
    let model = "networks/two_inputs_three_outputs_int8.tflite";
    let samples = "networks/two_inputs_three_outputs_int8.npz";
    let [a, b] =
        ["input_0", "input_1"].map(|name| folder.write(&format!("{name}.npy"), &npz_array(samples, name)));
    // The signature calls the first input `input_1`.
    let named = ["-i", &format!("input_0={b}"), "-i", &format!("input_1={a}")];
    let second_by_name = ["-i", &format!("input_0={b}"), "-i", &a];
    for inputs in [&["-i", samples][..], &["-i", &a, "-i", &b], &named, &second_by_name] {
        let out = folder.path("out");
        succeed([&["run", model, "--samples", "--raw", "-o", &out], inputs].concat());
        for output in ["output_0", "output_1", "output_2"] {
            let (found, expected) = (folder.read(&format!("out/{output}.npy")), npz_array(samples, output));
            assert_eq!(header_and_elements(&found), header_and_elements(&expected));
        }
    }
    // With a signature, its names come first also in an `.npz` file; here they are swapped.
    let line = format!(
        "run {model} --samples --raw --signature serving_default -i {samples} -o {}",
        folder.path("o")
    );
    fail(&[(
        &line,
        1,
        "cannot take 'networks/two_inputs_three_outputs_int8.npz:input_1' of shape [6, 1, 8, 8, 2]",
    )]);
}

#[test]
fn the_state_is_kept_between_samples_only_where_that_is_asked_for() {
    let (model, samples) =
        ("operators/var_handle_int32_counter.tflite", "operators/var_handle_int32_counter.npz");
    assert_output(model, samples, &["--samples", "--keep-state"], samples);
    let folder = Folder::new();
    succeed(["run", model, "-i", samples, "--samples", "-o", &folder.path("out")]);
    let (found, expected) = (folder.read("out/output_0.npy"), npz_array(samples, "output_0"));
    let (found, expected) = (header_and_elements(&found).1, header_and_elements(&expected).1);
    assert_eq!(found[..4], expected[..4]);
    assert_ne!(found, expected);
}

#[test]
fn wrong_uses_say_what_is_wrong_and_write_nothing() {
    let folder = Folder::new();
    let out = folder.path("out");
    let scalar = folder.write("scalar.npy", &npy("<f4", "()", &[0; 4]));
    let none = folder.write("none.npy", &npy("<f4", "(0, 1, 28, 28)", &[]));
    let objects = folder.write("objects.npy", &npy("|O", "(1,)", b""));
    let big = folder.write("big.npy", &npy(">f4", "(1,)", &[0; 4]));
    let wrong = [
        ("no/such.tflite", 1, "cannot read 'no/such.tflite'"),
        ("README.md", 1, "'README.md': not a .tflite file"),
        ("networks/tutorial_int8.tflite", 1, "no array for input 'serving_default_image:0'"),
        (
            "networks/tutorial_int8.tflite -i sound=a.npy",
            1,
            "there is no input 'sound': the model has 'serving_default_image:0', 'image'",
        ),
        (
            "networks/tutorial_int8.tflite -i networks/tutorial_int8.npz",
            1,
            "of shape [15, 1, 28, 28]: it takes [-1, 28, 28] (-1 is free); if the first axis counts samples, add --samples",
        ),
        (
            "networks/tutorial_int8_io.tflite --samples --raw -i networks/tutorial_int8.npz",
            1,
            "takes int8, but 'networks/tutorial_int8.npz:input_0' holds float32; without --raw it is quantized",
        ),
        (
            "networks/tutorial_int8.tflite --samples -i networks/tutorial_int8_io.npz",
            1,
            "takes float32, but 'networks/tutorial_int8_io.npz:input_0' holds int8; save array.astype(numpy.float32)",
        ),
        (
            "networks/tutorial_int8.tflite --samples -i networks/tutorial_int8.npz -i networks/tutorial_int8.npz",
            1,
            "is one too many: input 'serving_default_image:0' has 'networks/tutorial_int8.npz:input_0' already",
        ),
        ("networks/tutorial_int8.tflite -i README.md", 1, "'README.md': not an .npy file"),
        ("networks/tutorial_int8.tflite --keep-state -i a.npy", 2, "--samples"),
        ("networks/tutorial_int8.tflite --numerics exact", 2, "[possible values: litert, tflite-micro]"),
        ("networks/tutorial_int8.tflite --signature train -i a.npy", 1, "there is no signature 'train'"),
    ];
    for (arguments, code, message) in wrong {
        fail(&[(&format!("run -o {out} {arguments}"), code, message)]);
    }
    for (array, message) in [
        (scalar, "of shape []: with --samples, its first axis counts samples"),
        (none, "of shape [0, 1, 28, 28]: there are no samples"),
        (objects, "the elements are Python objects"),
        (big, "the elements are big-endian ('>f4')"),
    ] {
        let line = format!("run networks/tutorial_int8.tflite --samples -i {array} -o {out}");
        fail(&[(&line, 1, message)]);
    }
    assert_eq!(folder.names("."), ["big.npy", "none.npy", "objects.npy", "scalar.npy"]);
}

#[test]
fn an_operator_that_cannot_be_run_is_named_with_its_tensor() {
    let folder = Folder::new();
    let model = folder.write("two.tflite", &unsupported_model());
    let line = format!("run {model} -i operators/no.npy -o {}", folder.path("out"));
    fail(&[(&line, 1, "cannot read 'operators/no.npy'")]);
    let array = folder.write("x.npy", &npy("<i8", "(2,)", &[0; 16]));
    let line = format!("run {model} -i {array} -o {}", folder.path("out"));
    fail(&[(&line, 1, "two.tflite': operator 0 (RELU) of tensor 'y': the element types")]);
}
