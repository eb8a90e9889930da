//! Lives and deaths: the gateway is killed again and again while LiveKit sends, and in the end
//! everything acknowledged must have come, no more often than the kills allow.
//!
//! A *course* is one store with several kills, because what a kill left behind is what the next
//! life begins with. Deaths come from outside at an odd moment, from outside while it starts, from
//! outside while it stops, and from inside at a named boundary of a write.

use super::dice::Dice;
use super::rig::{Kept, Rig};
use super::verdict::Verdict;
use super::{Options, Page};
use crate::exchange::BOUND;
use anyhow::Result;
use livekit_webhook::crash::POINTS;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Kills in one course.
pub const COURSE_KILLS: usize = 10;
/// Events in one life, at most.
const LIFE_EVENTS_MAX: usize = 24;
/// Longest life, in milliseconds, when it is killed from outside.
const LIFE_MS_MAX: usize = 300;
/// Longest pause between two events, in milliseconds.
const PAUSE_MS_MAX: usize = 20;
/// How long a life goes on to reach a point that may never come.
const POINT_MAX: Duration = Duration::from_secs(1);
/// Groups of points that a life passes when it is only sent events.
pub const DRIVEN: [&str; 3] = ["append", "plan", "attempt"];

/// Half of the courses are in order.
const ORDERED: &str = r#"ordered = "room""#;

/// How a life ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// SIGKILL, so long after the first event.
    Moment(Duration),
    /// SIGKILL, so long after its process began; it may not listen yet.
    Starting(Duration),
    /// SIGKILL, so long after SIGTERM.
    Stopping(Duration),
    /// It aborts at a point, as `name:count`.
    Point(String),
}

// === impl Death ===

impl Death {
    /// Any of them; the named boundaries are SQLite's.
    pub fn roll(kept: Kept, dice: &mut Dice) -> Self {
        let mut millis = |max| Duration::from_millis(dice.under(max) as u64);
        let moments = [
            Self::Moment(millis(LIFE_MS_MAX)),
            Self::Starting(millis(60)),
            Self::Stopping(millis(30)),
        ];
        let kinds = if kept == Kept::Sqlite { 8 } else { 5 };
        match dice.under(kinds) {
            0..=2 => moments[0].clone(),
            3 => moments[1].clone(),
            4 => moments[2].clone(),
            _ => {
                let group = dice.pick(&DRIVEN);
                let points = POINTS.iter().filter(|point| point.starts_with(group));
                let point = dice.pick(&points.collect::<Vec<_>>()).to_owned();
                Self::Point(format!("{point}:{}", dice.under(12) + 1))
            }
        }
    }
}

/// One life, from its start to its death. It may die without having done anything.
///
/// # Errors
/// When it cannot be started or killed, or ends in a way that nobody planned.
pub async fn live(rig: &mut Rig, death: &Death, dice: &mut Dice) -> Result<()> {
    match death {
        Death::Starting(after) => {
            // The events wait at LiveKit until there is a gateway again.
            rig.notify(dice);
            if let Ok(started) = timeout(*after, rig.come_back(None)).await {
                started?;
            }
            rig.kill().await
        }
        Death::Moment(after) => {
            rig.come_back(None).await?;
            let began = Instant::now();
            events(rig, Some(*after), dice).await;
            sleep(after.saturating_sub(began.elapsed())).await;
            rig.kill().await
        }
        Death::Stopping(after) => {
            rig.come_back(None).await?;
            events(rig, None, dice).await;
            rig.gateway.ask_to_stop().await?;
            sleep(*after).await;
            rig.kill().await
        }
        Death::Point(point) => {
            if let Err(error) = rig.come_back(Some(point)).await {
                // It may pass its point before it listens: what an earlier life left is done first.
                let died = rig.look_for_death(Duration::ZERO).await?;
                return if died { Ok(()) } else { Err(error) };
            }
            events(rig, None, dice).await;
            rig.wait_death(POINT_MAX).await
        }
    }
}

/// LiveKit sends for a while.
async fn events(rig: &mut Rig, at_most: Option<Duration>, dice: &mut Dice) {
    let began = Instant::now();
    for _ in 0..dice.under(LIFE_EVENTS_MAX) + 1 {
        if at_most.is_some_and(|most| began.elapsed() >= most) {
            return;
        }
        rig.notify(dice);
        sleep(Duration::from_millis(dice.under(PAUSE_MS_MAX) as u64)).await;
    }
}

/// One course: `kills` lives, a last one in peace, and the verdict.
///
/// # Errors
/// What kept it from its end.
pub async fn course(kept: Kept, kills: usize, seed: u64) -> Result<Verdict> {
    let mut dice = Dice::new(seed);
    let more = if dice.under(2) == 0 { ORDERED } else { "" };
    let mut rig = Rig::start(kept, more, &mut dice).await?;
    events(&mut rig, None, &mut dice).await;
    rig.kill().await?;
    for _ in 1..kills {
        let death = Death::roll(kept, &mut dice);
        live(&mut rig, &death, &mut dice).await?;
    }
    rig.come_back(None).await?;
    let verdict = rig.verdict().await?;
    rig.gateway.terminate(BOUND).await?;
    Ok(verdict)
}

/// All courses on every kind of store.
///
/// # Errors
/// What kept one from its end.
pub async fn run(options: &Options, page: &mut Page<'_>) -> Result<()> {
    for kept in Kept::ALL {
        let name = kept.name();
        page.line(format_args!("\n{} kills on {name}", options.rounds))?;
        let mut all = Verdict::default();
        let mut killed = 0;
        let mut seed = options.seed;
        while killed < options.rounds {
            let kills = COURSE_KILLS.min(options.rounds - killed);
            let verdict = course(kept, kills, seed).await?;
            killed += kills;
            page.line(format_args!(
                "    {killed:>6} kills, seed {seed}: {} acknowledged, {} lost, {} repeated of {}",
                verdict.acknowledged, verdict.lost, verdict.repeated, verdict.repeated_max
            ))?;
            for violation in &verdict.violations {
                page.violation(format!("{name}, seed {seed}: {violation}"))?;
            }
            all.acknowledged += verdict.acknowledged;
            all.lost += verdict.lost;
            all.repeated += verdict.repeated;
            all.repeated_max += verdict.repeated_max;
            seed = seed.wrapping_add(1);
        }
        page.row(&format!("{name}: kills"), killed, "");
        page.row(&format!("{name}: events acknowledged"), all.acknowledged, "");
        page.row(&format!("{name}: of these lost"), all.lost, "0");
        let most = format!("at most {}, what was in flight", all.repeated_max);
        page.row(&format!("{name}: deliveries repeated"), all.repeated, &most);
    }
    Ok(())
}
