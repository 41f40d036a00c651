//! The learning rate's way: linear up, linear down.

/// Linear warm-up to the peak, then linear decay to zero, as `transformers`' `get_linear_schedule_with_warmup`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearSchedule {
    /// Learning rate at the end of the warm-up.
    pub peak: f64,
    /// Steps of the warm-up.
    pub warmup_steps: usize,
    /// Steps of the whole run.
    pub total_steps: usize,
}

impl LinearSchedule {
    /// Learning rate after `step` finished steps: the one that step `step + 1` uses.
    pub fn at(&self, step: usize) -> f64 {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        if step < self.warmup_steps {
            self.peak * share(step, self.warmup_steps)
        } else {
            let left = self.total_steps.saturating_sub(step);
            self.peak * share(left, self.total_steps.saturating_sub(self.warmup_steps))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_and_falls_linearly() {
        let schedule = LinearSchedule {
            peak: 1.0,
            warmup_steps: 4,
            total_steps: 12,
        };
        let rates: Vec<f64> = (0..14).map(|step| schedule.at(step)).collect();
        let expected = [
            0.0, 0.25, 0.5, 0.75, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0, 0.0,
        ];
        assert_eq!(rates, expected);
    }

    #[test]
    fn all_warm_up_or_none() {
        assert_eq!(
            LinearSchedule {
                peak: 1.0,
                warmup_steps: 0,
                total_steps: 2
            }
            .at(0),
            1.0
        );
        assert_eq!(
            LinearSchedule {
                peak: 1.0,
                warmup_steps: 2,
                total_steps: 2
            }
            .at(1),
            0.5
        );
        assert_eq!(
            LinearSchedule {
                peak: 1.0,
                warmup_steps: 9,
                total_steps: 2
            }
            .at(1),
            1.0 / 9.0
        );
    }
}
