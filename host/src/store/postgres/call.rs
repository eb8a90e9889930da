//! The two shapes of a call: a read, and one transaction that writes. What they name (`within`,
//! `Delta`, …) is found where they are used.

/// One statement or several, outside a transaction.
macro_rules! read {
    ($store:expr, |$client:ident| $work:expr) => {{
        let conn = $store.shared.connections.get().await?;
        let work = within(OPERATION_MAX, async {
            let $client = conn.client()?;
            $work.await
        });
        let result = work.await;
        Ok(conn.settle(result)?)
    }};
}

/// One transaction, with its share of the counters.
macro_rules! write {
    ($store:expr, $kind:ident, |$tx:ident, $delta:ident| $work:expr) => {{
        $store.writable()?;
        let mut conn = $store.shared.connections.get().await?;
        let result = within(OPERATION_MAX, async {
            Written::$kind.pass(0);
            let tx = conn.begin().await?;
            let mut delta = Delta::default();
            let value = {
                let ($tx, $delta) = (&tx, &mut delta);
                $work.await?
            };
            counters::add(&tx, delta).await?;
            Written::$kind.pass(1);
            tx.commit().await?;
            Written::$kind.pass(2);
            Ok(value)
        });
        let result = result.await;
        conn.settle(result)?
    }};
}

pub(super) use {read, write};
