//! Attention.

use burn::backend::ir::{AttentionOpIr, ScalarIr};
use burnlite_tflite::{ElementType, Op, SoftmaxOptions};

use super::activation::along_dim;
use super::arithmetic::{add_op, mul_op};
use super::dense::batched_product;
use super::elementwise::elementwise;
use crate::builder::{Builder, Value};
use crate::constant::Constant;
use crate::error::Refusal;

/// What a masked score becomes: low enough for a softmax, and not an infinity whose row could become NaN.
const MASKED: f32 = f32::MIN;

/// `softmax(q · kᵀ * scale) · v`, with Burn's masks, bias and cap.
pub(super) fn attention(builder: &mut Builder<'_>, op: &AttentionOpIr) -> Result<(), Refusal> {
    let (query, key, value) =
        (builder.stored(&op.query)?, builder.stored(&op.key)?, builder.stored(&op.value)?);
    let depth = query.layout.shape().0[3].size;
    let transposed = crate::builder::Stored { layout: key.layout.permuted(&[0, 1, 3, 2]), ..key };
    let scores = batched_product(builder, &query.into(), &transposed.into())?;

    let scale = op.options.scale.map_or(1.0 / (depth as f64).sqrt(), |scale| scale.elem());
    let mut scores = scaled(builder, scores, scale)?;
    if let Some(cap) = op.options.softcap {
        let cap = cap.elem::<f64>();
        let narrow = scaled(builder, scores, 1.0 / cap)?;
        let bounded = elementwise(builder, Op::Tanh, &[narrow], ElementType::Float32)?;
        scores = scaled(builder, bounded, cap)?;
    }
    if let Some(mask) = &op.mask {
        let mask = builder.value(mask)?;
        scores = masked(builder, scores, mask)?;
    }
    if op.options.is_causal {
        let mask = causal_mask(&scores)?;
        scores = masked(builder, scores, mask)?;
    }
    if let Some(bias) = &op.attn_bias {
        let bias = builder.value(bias)?;
        scores = elementwise(builder, add_op(), &[scores, bias], ElementType::Float32)?;
    }
    let scores = builder.stored_value(scores, "scores");
    let weights = along_dim(builder, &scores, 3, Op::Softmax(SoftmaxOptions { beta: 1.0 }));
    let context = batched_product(builder, &weights.into(), &value.into())?;
    builder.bind(&op.out, context)
}

fn scaled(builder: &mut Builder<'_>, scores: Value, factor: f64) -> Result<Value, Refusal> {
    let factor = Constant::scalar(ScalarIr::Float(factor), ElementType::Float32)?;
    elementwise(builder, mul_op(), &[scores, factor.into()], ElementType::Float32)
}

fn masked(builder: &mut Builder<'_>, scores: Value, mask: Value) -> Result<Value, Refusal> {
    let low = Constant::floats(&[], vec![MASKED]);
    elementwise(builder, Op::SelectV2, &[mask, low.into(), scores], ElementType::Float32)
}

/// True where a key comes after the query.
fn causal_mask(scores: &Value) -> Result<Value, Refusal> {
    let shape = scores.layout().shape();
    let (queries, keys) = (shape.0[2].size, shape.0[3].size);
    let later = (0..queries).flat_map(|query| (0..keys).map(move |key| key > query));
    Ok(Constant::booleans(&[1, 1, queries, keys], later).into())
}

#[cfg(test)]
mod tests {
    use burn::nn::attention::{
        MhaInput, MultiHeadAttention, MultiHeadAttentionConfig, generate_autoregressive_mask,
    };
    use burn::tensor::module::attention;
    use burn::tensor::ops::AttentionModuleOptions;
    use burn::tensor::{Device, Tensor};

    use crate::lower::testing::{FUNCTION, numbers, operators};

    #[test]
    fn attention_is_two_products_and_a_softmax() {
        let found = operators(&FUNCTION, numbers([2, 2, 3, 4]), |_, x: Tensor<4>| {
            attention(x.clone(), x.clone() * 2.0, x, None, None, AttentionModuleOptions::default())
        });
        assert_eq!(found, ["MUL", "BATCH_MATMUL", "MUL", "SOFTMAX", "BATCH_MATMUL"]);
    }

    #[test]
    fn masks_and_caps_are_burns() {
        let options = AttentionModuleOptions { scale: Some(0.7), softcap: Some(2.0), is_causal: true };
        let found = operators(&FUNCTION, numbers([2, 2, 3, 4]), |_, x: Tensor<4>| {
            let bias = x.clone().narrow(3, 0, 3);
            let mask = bias.clone().greater_elem(0.9);
            attention(x.clone(), x.clone() * 2.0, x, Some(mask), Some(bias), options)
        });
        assert!(found.contains(&"SELECT_V2".into()), "{found:?}");
    }

    #[test]
    fn several_heads_attend_as_burns_do() {
        let module: MultiHeadAttention = MultiHeadAttentionConfig::new(8, 2).init(&Device::flex());
        let found = operators(&module, numbers([2, 5, 8]), |module, x: Tensor<3>| {
            let [batch, length, _] = x.dims();
            let mask = generate_autoregressive_mask(batch, length, &x.device());
            module.forward(MhaInput::self_attn(x).mask_attn(mask)).context
        });
        assert!(found.contains(&"BATCH_MATMUL".into()), "{found:?}");
    }
}
