//! The fifteen acceptance tests of durable delivery, each under its number.
//!
//! | | what must hold | proved by |
//! |---|---|---|
//! | 1 | kill -9 at each write boundary: nothing acknowledged is lost, repeats ≤ in flight | `acceptance::crash::a01_kill_9_at_every_write_boundary_loses_nothing`, `acceptance::crash::a01_kill_9_at_odd_moments_loses_nothing`, `acceptance::crash::a01_kill_9_at_odd_moments_loses_nothing_on_postgresql` |
//! | 2 | a receiver drips for ever: the attempt ends at its deadline, memory stays | `acceptance::receivers::a02_an_answer_that_drips_for_ever_ends_at_the_deadline_and_costs_no_memory` |
//! | 3 | 10 GB or a gzip bomb: ≤ 64 KiB are read | `acceptance::receivers::a03_of_ten_gigabytes_or_a_gzip_bomb_no_more_than_64_kib_are_read`, `hyper_transport::tests::hostile::an_endless_body_is_cut_and_its_connection_closed` |
//! | 4 | DNS says public then metadata, or both; NAT64, mapped, 6to4: all refused | `hyper_transport::tests::names::a_name_that_is_bound_anew_to_a_forbidden_address_is_refused`, `hyper_transport::tests::names::one_forbidden_address_among_good_ones_refuses_them_all`, `address_policy::tests::listed::no_form_of_ipv6_opens_a_listed_ipv4_address`, `addresses::a_name_that_leads_to_a_forbidden_address_is_never_dialled` |
//! | 5 | one of ten endpoints hangs: the other nine do not notice | `acceptance::receivers::a05_one_of_ten_endpoints_hangs_and_the_other_nine_get_everything` |
//! | 6 | 429 with Retry-After 120: no request for 120 s, no attempt used up | `acceptance::pauses::a06_a_receiver_that_asks_for_120_s_gets_them_and_they_cost_no_attempt` |
//! | 7 | 410: exactly one request, then disabled | `acceptance::pauses::a07_one_410_is_the_last_request_also_after_a_kill`, `acceptance::pauses::a07_a_gateway_that_dies_while_it_makes_dead_letters_makes_them_all` |
//! | 8 | 100 queued, endpoint down, then up: one probe a period, drained in order of due time | `acceptance::pauses::a08_an_endpoint_that_is_down_gets_one_probe_a_period_and_everything_when_it_is_up` |
//! | 9 | old and new receivers verify while secrets overlap; only new ones after | `acceptance::keys::a09_old_and_new_receivers_verify_while_secrets_overlap_and_only_new_ones_after` |
//! | 10 | 1,000 events over 50 rooms with failures: each room in order, rooms side by side | `acceptance::order::a10_every_room_keeps_its_order_through_failures_and_a_kill` |
//! | 11 | PostgreSQL restarts in mid-run: ingest answers 503, and goes on without a restart | `acceptance::crash::a11_a_database_that_restarts_costs_503s_and_no_restart_of_the_gateway` |
//! | 12 | a replay interrupted twice: each event once more, plus at most what was in flight | `acceptance::replays::a12_a_replay_that_is_killed_twice_sends_each_event_once_more`, `acceptance::replays::a12_a_replay_that_dies_at_every_boundary_of_a_step_sends_each_event_once_more` |
//! | 13 | LiveKit's sender against a gateway restarted in mid-run: nothing lost | `acceptance::crash::a13_livekits_sender_loses_nothing_to_a_gateway_that_restarts_in_mid_run` |
//! | 14 | clock skew of ± 60 s and key reload under load: no 4xx to LiveKit | `acceptance::keys::a14_skewed_clocks_and_reloaded_keys_cost_livekit_no_refusal` |
//! | 15 | six minutes later LiveKit's own receiver verifies it | `acceptance::keys::a15_a_delivery_tried_again_six_minutes_later_verifies_with_livekits_own_receiver` |
//!
//! Minutes pass by moving the gateway's clock (`LIVEKIT_WEBHOOK_CLOCK`, in debug builds), not by
//! waiting. Durations inside the process, such as an attempt's deadline, are the machine's. How
//! much the nine of story 5 notice in figures is `make bench`'s to say.

mod crash;
mod keys;
mod order;
mod pauses;
mod receivers;
mod replays;
