//! Functions of each element.

use burn::backend::ir::UnaryOpIr;
use burnlite_tflite::{Activation, Op};

use crate::builder::{Builder, Stored, Value};
use crate::error::Refusal;
use crate::fold;

/// `max(x, 0)`: part of the operator before it where that can be, RELU otherwise.
pub(super) fn relu(builder: &mut Builder<'_>, op: &UnaryOpIr) -> Result<(), Refusal> {
    match fold::activation(builder, &op.input, Activation::Relu, "relu")? {
        Some(stored) => {
            builder.bind(&op.out, Value::Computed(stored));
            Ok(())
        }
        None => elementwise(builder, Op::Relu, op),
    }
}

/// An operator that does the same to every element, in whatever order they are stored.
fn elementwise(builder: &mut Builder<'_>, operator: Op, op: &UnaryOpIr) -> Result<(), Refusal> {
    let Stored { tensor, layout } = builder.stored(&op.input)?;
    let shape = builder.shape(tensor).clone();
    let tensor = builder.operator(operator, &[Some(tensor)], shape);
    builder.bind(&op.out, Value::Computed(Stored { tensor, layout }));
    Ok(())
}

#[cfg(test)]
mod tests {
    use burn::module::Param;
    use burn::tensor::Tensor;
    use burn::tensor::activation::relu;

    use crate::Exporter;
    use crate::lower::testing::{FUNCTION, numbers, operators, parameter};

    #[test]
    fn relu_alone_works_on_the_order_in_which_its_operand_is_stored() {
        let found = operators(&FUNCTION, numbers([2, 3, 4]), |_, x: Tensor<3>| {
            relu(x.swap_dims(1, 2)).swap_dims(1, 2)
        });
        assert_eq!(found, ["RELU"]);
    }

    #[test]
    fn relu_becomes_part_of_the_layer_before_it_through_a_reshape() {
        let found = operators(&parameter([4, 6]), numbers([2, 4]), |weights: &Param<Tensor<2>>, x| {
            relu(x.matmul(weights.val()).reshape([-1, 2, 3]))
        });
        assert_eq!(found, ["FULLY_CONNECTED", "RESHAPE"]);
    }

    #[test]
    fn relu_stays_alone_where_its_operand_is_wanted_too() {
        let forward = |weights: &Param<Tensor<2>>, x: Tensor<2>| {
            let y = x.matmul(weights.val());
            (relu(y.clone()), y)
        };
        let model = Exporter::new().export(&parameter([4, 6]), numbers([2, 4]), forward).unwrap();
        let names: Vec<&str> = model.graphs[0].operators.iter().map(|operator| operator.op.name()).collect();
        assert_eq!(names, ["FULLY_CONNECTED", "RELU"]);
    }
}
