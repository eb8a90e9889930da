//! The fifteen acceptance tests of durable delivery, each under its number.
//!
//! | | what | proved by |
//! |---|---|---|
//! | 1 | kill -9 at each write boundary: nothing acknowledged is lost, repeats ≤ in flight | `crash::a01_kill_9_at_every_write_boundary_loses_nothing`, `crash::a01_kill_9_at_odd_moments_loses_nothing` |
//! | 2 | a receiver drips for ever: the attempt ends at its deadline, memory stays | `receivers::a02_an_answer_that_drips_for_ever_ends_at_the_deadline_and_costs_no_memory` |
//! | 3 | 10 GB or a gzip bomb: ≤ 64 KiB read | `receivers::a03_of_ten_gigabytes_or_a_gzip_bomb_no_more_than_64_kib_are_read` |
//! | 5 | one of ten endpoints hangs: the other nine do not notice | `receivers::a05_one_of_ten_endpoints_hangs_and_the_other_nine_get_everything` |
//! | 13 | LiveKit's sender against a gateway restarted in mid-run: nothing lost | `crash::a13_livekits_sender_loses_nothing_to_a_gateway_that_restarts_in_mid_run` |
//! | 14 | clock skew of ± 60 s and key reload under load: no 4xx to LiveKit | `keys::a14_skewed_clocks_and_reloaded_keys_cost_livekit_no_refusal` |
//! | 15 | six minutes later LiveKit's own receiver verifies it | `keys::a15_a_delivery_tried_again_six_minutes_later_verifies_with_livekits_own_receiver` |
//!
//! Minutes pass by moving the gateway's clock (`LIVEKIT_WEBHOOK_CLOCK`, in debug builds), not by
//! waiting. Durations inside the process, such as an attempt's deadline, are the machine's.

mod crash;
mod keys;
mod receivers;
