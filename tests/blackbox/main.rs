//! Black-box tests: the real program, real sockets, real Uvicorn. One file per promise.
//!
//! They use signals, `/proc` and Unix sockets, so they run on Linux only.
#![cfg(unix)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on stops with a message"
)]

mod support;

mod access_rules_decide;
mod admin_api;
mod ambiguous_requests_end_here;
mod bad_certificates_are_told_in_one_line;
mod bad_workers_harm_nobody_else;
mod balancing_shares;
mod browsers_and_scanners_agree;
mod certificates_reload_under_load;
mod client_certificates_identify;
mod clients_agree;
mod clients_get_their_due;
mod command_line;
mod connections_are_reused_by_policy;
mod connections_keep_their_user;
mod disconnects_are_passed_on;
mod each_timeout_ends_its_phase;
mod edge_answers;
mod every_request_is_logged_once;
mod failing_workers_behave_as_documented;
mod failures_have_their_outcome;
mod front_door_guide;
mod front_regressions;
mod greedy_clients_are_bounded;
mod headers_are_rewritten;
mod http2_floods_are_bounded;
mod identity_survives;
mod idle_connections_close;
mod keep_alive_races_are_won;
mod large_bodies_need_no_memory;
mod limit_concurrency_is_respected;
mod limits_hold;
mod long_requests_survive;
mod mixed_load_loses_nothing;
mod names_are_followed;
mod nothing_is_left_behind;
mod operations_commands;
mod operations_guide;
mod pingora_edges;
mod proxy_protocol_tells_the_client;
mod requests_are_unambiguous;
mod requests_wait_their_turn;
mod responses_are_sane;
mod retries_are_safe_and_few;
mod routes_choose;
mod sessions_stick;
mod shipped_configurations_serve;
mod sick_workers_are_left_out;
mod slow_headers_are_refused;
mod stop_is_graceful;
mod streams_are_not_held_back;
mod supervised_workers_serve;
mod tls_is_served;
mod upstream_regressions;
mod websockets_pass;
mod worker_output_is_captured;
mod workers_are_recycled;
mod workers_are_replaced_without_loss;
mod workers_behind_tls;
mod workers_do_not_go_deaf;
