//! Deaths and restarts: 1, 11, 12 and 13 of the fifteen.

use anyhow::{Context as _, Result, ensure};
use livekit_webhook::crash::POINTS;
use livekit_webhook_tests::exchange::{API_KEY, BOUND, SECRET, event, post};
use livekit_webhook_tests::gateway::Gateway;
use livekit_webhook_tests::ledger::Ledger;
use livekit_webhook_tests::livekit::{Fate, Sender};
use livekit_webhook_tests::postgres::{self, Postgres};
use livekit_webhook_tests::receiver::Receiver;
use livekit_webhook_tests::soak::dice::Dice;
use livekit_webhook_tests::soak::kills;
use livekit_webhook_tests::soak::rig::{self, Kept, Rig};
use std::collections::BTreeSet;
use std::time::Duration;

use crate::delivery::with_source;

/// At which pass a life ends: the first, and one that has others behind it.
const PASSES: [u32; 2] = [1, 3];
/// Events after which a point must have been passed so often.
const EVENTS_MAX: usize = 12;
/// How long to look for its death between two events.
const LOOK: Duration = Duration::from_millis(250);

/// Lets a gateway die at every boundary of `group`, one life each, and hears the witnesses after
/// every death.
async fn dies_at_every_boundary_of(group: &str, kept: Kept) -> Result<()> {
    let mut dice = Dice::new(1);
    let mut rig = Rig::start(kept, "", &mut dice).await?;
    rig.gateway.terminate(BOUND).await?;
    let points: Vec<_> = POINTS.iter().filter(|point| point.starts_with(group)).collect();
    ensure!(points.len() == 3, "{points:?}");
    for point in points {
        for pass in PASSES {
            let crash_at = format!("{point}:{pass}");
            rig.come_back(Some(&crash_at)).await?;
            let first = rig.sent();
            while !rig.look_for_death(LOOK).await? {
                ensure!(rig.sent() - first < EVENTS_MAX, "{crash_at} was never reached");
                rig.notify(&mut dice);
            }
            rig.come_back(None).await?;
            let verdict = rig.verdict().await.with_context(|| crash_at.clone())?;
            ensure!(verdict.violations.is_empty(), "{crash_at}: {:#?}", verdict.violations);
            ensure!(verdict.acknowledged == rig.sent(), "{crash_at}: {verdict:?}");
            rig.gateway.terminate(BOUND).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a01_kill_9_at_every_write_boundary_loses_nothing() -> Result<()> {
    let [append, plan, attempt] =
        kills::DRIVEN.map(|group| dies_at_every_boundary_of(group, Kept::Sqlite));
    tokio::try_join!(append, plan, attempt).map(drop)
}

/// One life for each boundary, on one database. What a life had claimed is free again when its
/// leases have ended, so the witnesses are heard once, after the last death and later than these.
#[tokio::test]
async fn a01_kill_9_at_every_write_boundary_loses_nothing_on_postgresql() -> Result<()> {
    let mut dice = Dice::new(2);
    let mut rig = Rig::start(Kept::Postgres, "", &mut dice).await?;
    rig.gateway.terminate(BOUND).await?;
    let is_on_the_way = |point: &&&str| {
        ["append", "claim", "plan", "attempt"].iter().any(|group| point.starts_with(group))
    };
    for point in POINTS.iter().filter(is_on_the_way) {
        let crash_at = format!("{point}:{}", PASSES[1]);
        rig.come_back(Some(&crash_at)).await?;
        let first = rig.sent();
        while !rig.look_for_death(LOOK).await? {
            ensure!(rig.sent() - first < EVENTS_MAX, "{crash_at} was never reached");
            rig.notify(&mut dice);
        }
    }
    rig.come_back_for_good().await?;
    let verdict = rig.verdict().await?;
    ensure!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    ensure!(verdict.acknowledged > 0, "nothing was acknowledged: {verdict:?}");
    Ok(())
}

#[tokio::test]
async fn a01_kill_9_at_odd_moments_loses_nothing() -> Result<()> {
    // The seed is fixed, so that a failure is the code's; `make soak` rolls others.
    let verdict = kills::course(Kept::Sqlite, kills::COURSE_KILLS, 20_261_123).await?;
    ensure!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    ensure!(verdict.acknowledged > 0, "nothing was acknowledged: {verdict:?}");
    Ok(())
}

#[tokio::test]
async fn a01_kill_9_at_odd_moments_loses_nothing_on_postgresql() -> Result<()> {
    let verdict = kills::course(Kept::Postgres, kills::COURSE_KILLS, 20_261_123).await?;
    ensure!(verdict.violations.is_empty(), "{:#?}", verdict.violations);
    ensure!(verdict.acknowledged > 0, "nothing was acknowledged: {verdict:?}");
    Ok(())
}

/// The database goes away under a gateway that is sent events, by stop and by kill -9.
#[tokio::test]
async fn a11_a_database_that_restarts_costs_503s_and_no_restart_of_the_gateway() -> Result<()> {
    const EVENTS: usize = 120;
    let mut server = Postgres::start(&postgres::Setup::default()).await?;
    let database = server.database().await?;
    let receiver = Receiver::start().await?;
    let setup = with_source()
        .own_address()
        .store_url(database.url())
        .endpoint("all", &receiver.url("/"), "in_flight_max = 4")
        .subscription("all", "");
    let gateway = Gateway::start(&setup, BOUND).await?;
    let process = gateway.process_id()?;
    let sender = Sender::new(&[&gateway.url()], API_KEY, SECRET, 1.0)?;
    let send = async {
        for number in 0..EVENTS {
            let room = format!("room-{}", number % 12);
            sender.notify(event("room_started", &room, &format!("EV_{number}")));
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        Ok(())
    };
    let away = async {
        for (part, by_kill) in [(4, false), (2, true)] {
            sender.wait_for(EVENTS / part, BOUND).await?;
            if by_kill {
                server.kill_9().await?
            } else {
                server.stop().await?
            }
            let late = format!("EV_away_{part}");
            let reply = post(gateway.address(), &event("room_started", &late, &late)).await?;
            ensure!((reply.status, reply.header("retry-after")) == (503, None), "{reply:?}");
            server.restart().await?;
        }
        Ok(())
    };
    tokio::try_join!(send, away)?;
    for report in sender.wait_for(EVENTS, 2 * BOUND).await? {
        let last = report.attempts.last().map(|attempt| attempt.outcome.clone());
        ensure!(last == Some(Ok(200)), "{report:?}");
    }
    ensure!(gateway.process_id()? == process, "it was another process in the end");
    let ledger = Ledger::postgres(database.url()).await?;
    // Claims that were lost with a connection end with their leases.
    ledger.wait_ended("all", EVENTS, 4 * BOUND).await?;
    let requests: Result<Vec<_>> = receiver.seen().iter().map(rig::request).collect();
    let came: BTreeSet<_> = requests?.into_iter().map(|request| request.event).collect();
    let missing = (0..EVENTS).filter(|number| !came.contains(&format!("EV_{number}"))).count();
    ensure!(missing == 0, "{missing} of {EVENTS} were lost");
    ensure!(ledger.findings().await?.is_empty(), "{:?}", ledger.findings().await?);
    Ok(())
}

#[tokio::test]
async fn a13_livekits_sender_loses_nothing_to_a_gateway_that_restarts_in_mid_run() -> Result<()> {
    const EVENTS: usize = 120;
    let receiver = Receiver::start().await?;
    let setup =
        with_source().own_address().endpoint("all", &receiver.url("/"), "").subscription("all", "");
    let mut gateway = Gateway::start(&setup, BOUND).await?;
    // Five attempts in 5 s and an age of 10 s, where LiveKit has 15 and 30.
    let sender = Sender::new(&[&gateway.url()], API_KEY, SECRET, 1.0 / 3.0)?;
    let send = async {
        for number in 0..EVENTS {
            let room = format!("room-{}", number % 12);
            sender.notify(event("room_started", &room, &format!("EV_{number}")));
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        Ok(())
    };
    let restart = async {
        sender.wait_for(EVENTS / 4, BOUND).await?;
        gateway.terminate(BOUND).await?;
        sender.notify(event("room_started", "away-1", "EV_away_1"));
        gateway.come_back(BOUND).await?;
        sender.wait_for(EVENTS / 2, BOUND).await?;
        gateway.kill_9().await?;
        sender.notify(event("room_started", "away-2", "EV_away_2"));
        gateway.come_back(BOUND).await
    };
    tokio::try_join!(send, restart)?;
    let reports = sender.wait_for(EVENTS + 2, BOUND).await?;
    for report in &reports {
        ensure!(report.fate == Fate::Delivered, "{report:?}");
        let last = report.attempts.last().map(|attempt| attempt.outcome.clone());
        ensure!(last == Some(Ok(200)), "LiveKit was told to forget it: {report:?}");
    }
    ensure!(
        reports.iter().any(|report| report.attempts.len() > 1),
        "no attempt met a gateway that was away"
    );
    let rows = gateway.ledger()?.wait_ended("all", EVENTS + 2, BOUND).await?;
    ensure!(rows.len() == EVENTS + 2, "{} deliveries", rows.len());
    let mut bodies: Vec<_> = receiver.seen().into_iter().map(|seen| seen.body).collect();
    bodies.sort();
    bodies.dedup();
    ensure!(bodies.len() == EVENTS + 2, "{} of {EVENTS} and 2 came", bodies.len());
    Ok(())
}
