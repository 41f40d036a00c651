//! The layers that a new student begins with.

use std::fmt;
use std::str::FromStr;

/// What `--student-layers` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StudentLayers {
    /// The teacher's first, its last and those at even distances between, where they can be cut to the student's sizes.
    Even,
    /// None of the teacher's.
    Random,
    /// These of the teacher's, numbered from 0.
    These(Vec<usize>),
}

impl StudentLayers {
    /// Numbers of the teacher's layers for a student of so many; none where all are to be random.
    pub fn of_teacher(&self, layers: usize, of_student: usize) -> Option<Vec<usize>> {
        match self {
            Self::Random => None,
            Self::These(layers) => Some(layers.clone()),
            Self::Even => {
                let (last, steps) = (layers.saturating_sub(1), of_student.saturating_sub(1));
                let place = |step: usize| (step * last).checked_div(steps).unwrap_or(last);
                Some((0..of_student).map(place).collect())
            }
        }
    }
}

impl FromStr for StudentLayers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "even" => Ok(Self::Even),
            "random" => Ok(Self::Random),
            _ => {
                let numbers = text.split(',').map(|number| number.trim().parse());
                let numbers = numbers.collect::<Result<_, _>>();
                numbers.map(Self::These).map_err(|_| {
                    "expected even, random, or numbers of layers such as 0,3,7,11".to_owned()
                })
            }
        }
    }
}

impl fmt::Display for StudentLayers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even => f.write_str("even"),
            Self::Random => f.write_str("random"),
            Self::These(layers) => f.write_str(&list(layers, ",")),
        }
    }
}

/// Numbers with something between them.
pub fn list(numbers: &[usize], between: &str) -> String {
    let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
    numbers.join(between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_layers_are_the_first_the_last_and_those_between() {
        for (layers, of_student, expected) in [
            (12, 4, &[0, 3, 7, 11][..]),
            (12, 12, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
            (12, 2, &[0, 11]),
            (12, 1, &[11]),
            (6, 3, &[0, 2, 5]),
            (1, 1, &[0]),
            (4, 0, &[]),
        ] {
            let found = StudentLayers::Even.of_teacher(layers, of_student);
            assert_eq!(found.as_deref(), Some(expected));
        }
        assert_eq!(StudentLayers::Random.of_teacher(12, 4), None);
        let named = StudentLayers::These(vec![1, 2]).of_teacher(12, 4);
        assert_eq!(named, Some(vec![1, 2]));
    }

    #[test]
    fn what_is_written_is_read() {
        for text in ["even", "random", "0,3,7,11", "5"] {
            assert_eq!(
                text.parse::<StudentLayers>().map(|x| x.to_string()),
                Ok(text.to_owned())
            );
        }
        assert_eq!("0, 3".parse(), Ok(StudentLayers::These(vec![0, 3])));
        for text in ["", "last", "-1", "0,,3", "0;3"] {
            assert!(text.parse::<StudentLayers>().is_err(), "{text}");
        }
    }
}
