#pragma once

#include <chrono>
#include <string>

namespace ssdq {

using Deadline = std::chrono::steady_clock::time_point;

Deadline deadline_after(double seconds);
double seconds_until(Deadline deadline);  // 0 when it has passed

// A port on which nobody listens now, chosen by the system.
int find_free_port();

// Throws Error when this process cannot listen on the port: another does, or it may not.
void check_port_free(int port);

// Comes back when somebody listens at host:port. Throws Error when the host is unknown, or when it
// refused or did not answer until the deadline.
void wait_for_listener(const std::string& host, int port, Deadline deadline);

// True for 127.0.0.1, ::1 and localhost, written so.
bool names_loopback(const std::string& host);

// This machine's address as other machines on the way to `host` see it: of the interface that
// packets to it leave by, or of the default one when `host` is this machine; loopback if there is
// no other.
std::string address_towards(const std::string& host);

}  // namespace ssdq
