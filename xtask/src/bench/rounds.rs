//! Paired rounds and medians.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

/// One figure for each contestant in each round.
pub(super) struct Rounds {
    names: Vec<String>,
    /// By round, then by contestant.
    figures: Vec<Vec<f64>>,
}

impl Rounds {
    /// Runs `n` rounds of `measure(contestant)`, in an order that is new each round.
    pub(super) fn run(n: u32, names: &[String], mut measure: impl FnMut(usize) -> Result<f64>) -> Result<Rounds> {
        let mut figures = Vec::new();
        for _ in 0..n {
            let mut round = vec![0.0; names.len()];
            for i in shuffled(names.len()) {
                round[i] = measure(i)?;
            }
            figures.push(round);
        }
        Ok(Rounds { names: names.to_vec(), figures })
    }

    /// From figures that were taken together: by round, then by contestant.
    pub(super) fn of(names: &[String], figures: Vec<Vec<f64>>) -> Rounds {
        Rounds { names: names.to_vec(), figures }
    }

    /// For each contestant: its name, the median of its figures, and the median of its ratios to the first
    /// contestant's figure of the same round.
    pub(super) fn medians(&self) -> Vec<(String, f64, f64)> {
        let over_rounds = |figure: &dyn Fn(&Vec<f64>) -> f64| median(self.figures.iter().map(figure).collect());
        let row = |(i, name): (usize, &String)| {
            (name.clone(), over_rounds(&|round| round[i]), over_rounds(&|round| round[i] / round[0]))
        };
        self.names.iter().enumerate().map(row).collect()
    }
}

/// The median; not a number for none.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// 0 to `n` - 1 in an order that nobody chose.
pub(super) fn shuffled(n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut random = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64) | 1;
    for i in (1..n).rev() {
        // xorshift64: any disorder will do.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        order.swap(i, (random % (i as u64 + 1)) as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_the_same_round() {
        let names = ["native".to_owned(), "other".to_owned()];
        let rounds = Rounds::of(&names, vec![vec![1.0, 2.0], vec![10.0, 30.0], vec![2.0, 5.0]]);
        assert_eq!(rounds.medians(), [("native".into(), 2.0, 1.0), ("other".into(), 5.0, 2.5)]);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
    }

    #[test]
    fn every_contestant_runs_once_a_round() {
        let mut order = shuffled(9);
        order.sort_unstable();
        assert_eq!(order, (0..9).collect::<Vec<_>>());
    }
}
