//! Which of Burn's processor backends trains.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::Error;

/// A Burn backend that trains on the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Backend {
    /// burn-flex, in every build.
    #[default]
    Flex,
    /// burn-ndarray, deprecated by Burn since 0.22; in builds with the cargo feature `ndarray`.
    NdArray,
}

impl Backend {
    /// Every backend, the default first.
    pub const ALL: &[Self] = &[Self::Flex, Self::NdArray];

    /// The backend's device.
    ///
    /// # Errors
    /// [`Error::BackendNotBuilt`] for [`NdArray`](Self::NdArray) in a build without the feature `ndarray`.
    pub fn device(self) -> Result<Device, Error> {
        match self {
            Self::Flex => Ok(Device::flex()),
            #[cfg(feature = "ndarray")]
            #[expect(deprecated, reason = "a tested choice for as long as Burn ships it")]
            Self::NdArray => Ok(Device::ndarray()),
            #[cfg(not(feature = "ndarray"))]
            Self::NdArray => Err(Error::BackendNotBuilt { backend: self, feature: "ndarray" }),
        }
    }

    /// The name on the command line and in reports: `flex` or `ndarray`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().copied().find(|backend| backend.name() == name);
        found.ok_or_else(|| Error::UnknownBackend { name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_parses_from_its_name() {
        for &backend in Backend::ALL {
            assert_eq!(backend.name().parse::<Backend>().unwrap(), backend);
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let message = "cuda".parse::<Backend>().unwrap_err().to_string();
        assert_eq!(message, "unknown backend \"cuda\": choose flex or ndarray");
    }

    #[cfg(not(feature = "ndarray"))]
    #[test]
    fn ndarray_without_its_feature_is_an_error_that_names_the_feature() {
        let message = Backend::NdArray.device().unwrap_err().to_string();
        assert_eq!(
            message,
            "the backend ndarray is not in this build: build with the cargo feature \"ndarray\""
        );
    }
}
