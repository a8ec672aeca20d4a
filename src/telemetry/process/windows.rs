//! Windows: performance counters already hold these values for every process, so none are
//! taken here.

use super::Sample;

pub(super) fn sample() -> Sample {
    Sample::default()
}
