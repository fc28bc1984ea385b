//! Calibrations as files.

use serde::{Deserialize, Serialize};

use super::{Calibration, Statistics};
use crate::Error;

/// What the file says it is.
const FORMAT: &str = "burnlite calibration";
/// Counts up when the fields change.
const VERSION: u32 = 1;

/// What every version of the file has.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Serialize)]
struct Written<'c> {
    format: &'static str,
    version: u32,
    calibration: &'c Calibration,
}

#[derive(Deserialize)]
struct Read {
    calibration: Calibration,
}

impl Calibration {
    /// The calibration as JSON, from which [`from_json`](Self::from_json) makes the same again, to the last bit.
    ///
    /// Equal calibrations have equal text: that of merged shards is that of one pass.
    pub fn to_json(&self) -> String {
        let written = Written { format: FORMAT, version: VERSION, calibration: self };
        let json = serde_json::to_string(&written).expect("a calibration has no maps but by numbers");
        json + "\n"
    }

    /// A calibration from what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`Error::Statistics`] for any other text, or one of another version. Whose calibration it is shows when it is
    /// used: [`merge`](Self::merge), [`extend`](Self::extend) and [`quantize`](crate::Quantizer::quantize) refuse that of
    /// another model.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        let fault = |error: serde_json::Error| Error::Statistics { reason: error.to_string() };
        let Header { format, version } = serde_json::from_str(json).map_err(fault)?;
        if (format.as_str(), version) != (FORMAT, VERSION) {
            let reason =
                format!("they are '{format}' of version {version}, not '{FORMAT}' of version {VERSION}");
            return Err(Error::Statistics { reason });
        }
        let Read { calibration } = serde_json::from_str(json).map_err(fault)?;
        let fits = |tensor: &Statistics| tensor.observer.fits(calibration.samples);
        if calibration.inputs.fits(calibration.samples) && calibration.tensors.iter().all(fits) {
            return Ok(calibration);
        }
        Err(Error::Statistics { reason: "there are sums that its samples cannot have".into() })
    }
}
