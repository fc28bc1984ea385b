use burnlite_applications::*;
use burnlite_runtime::Interpreter;
fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    for a in &APPLICATIONS {
        if !names.is_empty() && !names.iter().any(|n| n == a.name) { continue; }
        let t = std::time::Instant::now();
        let data = a.data(1, a.effort);
        println!("{} data {:?}", a.name, t.elapsed());
        let t = std::time::Instant::now();
        let model = a.train(&data, 1, |p| if p.step % 100 == 0 { println!("  {}/{} {:.6} {:?}", p.step, p.steps, p.loss, t.elapsed()) }).unwrap();
        println!("  trained {:?}", t.elapsed());
        let bytes = model.to_bytes().unwrap();
        std::fs::write(format!("/tmp/apps_{}.tflite", a.name), &bytes).unwrap();
        let ops: Vec<&str> = model.main().unwrap().operators.iter().map(|o| o.op.name()).collect();
        println!("  {} bytes {ops:?}", bytes.len());
        let mut i = Interpreter::new(&model).unwrap();
        let outs: Vec<Vec<f32>> = data.test.iter().map(|s| { i.set_input(0, &s.input).unwrap(); i.invoke().unwrap(); i.output::<f32>(0).unwrap().to_vec() }).collect();
        let q = a.quality.of(data.test.iter().zip(&outs).map(|(s, o)| (&s.truth[..], &o[..])));
        let b = a.quality.of(data.test.iter().map(|s| (&s.truth[..], &s.baseline[..])));
        println!("  {}: {} {b:.2} dB, network {q:.2} dB", a.quality.name(), a.baseline);
    }
}
