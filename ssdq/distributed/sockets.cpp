#include "ssdq/distributed/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>

#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

constexpr std::chrono::milliseconds kBetweenTries{50};
constexpr const char* kElsewhere = "192.0.2.1";  // reserved for documentation (RFC 5737)

class Socket {
 public:
  Socket(int family, int type) : fd_(socket(family, type | SOCK_CLOEXEC, 0)) {}
  ~Socket() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

// Null with `error` set to getaddrinfo's when the name has no address.
Addresses resolve(const std::string& host, int port, int type, int& error) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = type;
  addrinfo* found = nullptr;
  error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  return {error == 0 ? found : nullptr, freeaddrinfo};
}

// 0 when the address accepted a connection, else errno.
int try_connection(const addrinfo& address, Deadline deadline) {
  const Socket socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK);
  if (socket.fd() < 0) {
    return errno;
  }
  if (connect(socket.fd(), address.ai_addr, address.ai_addrlen) == 0) {
    return 0;
  }
  if (errno != EINPROGRESS) {
    return errno;
  }
  pollfd waiting{socket.fd(), POLLOUT, 0};
  if (poll(&waiting, 1, static_cast<int>(seconds_until(deadline) * 1000)) <= 0) {
    return ETIMEDOUT;
  }
  int error = 0;
  socklen_t length = sizeof(error);
  getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &length);
  return error;
}

// 0, or the errno of binding to the port on all addresses of the family.
int try_port(int family, int port) {
  const Socket socket(family, SOCK_STREAM);
  const int on = 1;
  setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_storage address{};
  socklen_t length = 0;
  if (family == AF_INET6) {
    auto& ip = reinterpret_cast<sockaddr_in6&>(address);
    ip.sin6_family = AF_INET6;
    ip.sin6_port = htons(static_cast<uint16_t>(port));
    length = sizeof(sockaddr_in6);
  } else {
    auto& ip = reinterpret_cast<sockaddr_in&>(address);
    ip.sin_family = AF_INET;
    ip.sin_port = htons(static_cast<uint16_t>(port));
    length = sizeof(sockaddr_in);
  }
  if (socket.fd() < 0 || bind(socket.fd(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(socket.fd(), 1) != 0) {
    return errno;
  }
  return 0;
}

std::string in_numbers(const sockaddr* address, socklen_t length) {
  char text[NI_MAXHOST] = "";
  getnameinfo(address, length, text, sizeof(text), nullptr, 0, NI_NUMERICHOST);
  return text;
}

// The address packets to `host` are sent from; nothing is sent to find out.
std::optional<std::string> source_address(const std::string& host) {
  int error = 0;
  const auto addresses = resolve(host, 9, SOCK_DGRAM, error);
  for (auto* address = addresses.get(); address != nullptr; address = address->ai_next) {
    const Socket socket(address->ai_family, SOCK_DGRAM);
    sockaddr_storage own{};
    socklen_t length = sizeof(own);
    if (socket.fd() >= 0 && connect(socket.fd(), address->ai_addr, address->ai_addrlen) == 0 &&
        getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&own), &length) == 0) {
      return in_numbers(reinterpret_cast<sockaddr*>(&own), length);
    }
  }
  return std::nullopt;
}

bool is_loopback(const std::string& address) {
  return address.rfind("127.", 0) == 0 || address == "::1";
}

// "refused the connection", for a sentence about an address.
std::string describe(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "refused the connection";
    case ETIMEDOUT:
      return "did not answer";
    case EHOSTUNREACH:
    case ENETUNREACH:
      return "cannot be reached";
    default:
      return fmt::format("cannot be connected to ({})", std::strerror(error));
  }
}

}  // namespace

Deadline deadline_after(double seconds) {
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(
             std::chrono::duration<double>(seconds));
}

double seconds_until(Deadline deadline) {
  const std::chrono::duration<double> left = deadline - std::chrono::steady_clock::now();
  return std::max(0.0, left.count());
}

int find_free_port() {
  const Socket socket(AF_INET, SOCK_STREAM);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t length = sizeof(address);
  SSDQ_CHECK(socket.fd() >= 0 &&
                 bind(socket.fd(), reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                 getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &length) == 0,
             "no free port was found: {}", std::strerror(errno));
  return ntohs(address.sin_port);
}

void check_port_free(int port) {
  const int either[] = {try_port(AF_INET6, port), try_port(AF_INET, port)};
  for (const int error : either) {
    SSDQ_CHECK(error != EADDRINUSE,
               "port {} is busy: another process listens on it; choose another", port);
    SSDQ_CHECK(error != EACCES, "port {} is reserved for the system; choose one above 1023", port);
  }
}

void wait_for_listener(const std::string& host, int port, Deadline deadline) {
  const double limit = seconds_until(deadline);
  while (true) {
    int error = 0;
    const auto addresses = resolve(host, port, SOCK_STREAM, error);
    SSDQ_CHECK(error != EAI_NONAME && error != EAI_FAIL, "host \"{}\" is unknown", host);
    int refused = 0;
    for (auto* address = addresses.get(); address != nullptr; address = address->ai_next) {
      const int result = try_connection(*address, deadline);
      if (result == 0) {
        return;
      }
      refused = refused == 0 || result == ECONNREFUSED ? result : refused;
    }
    if (seconds_until(deadline) == 0) {
      SSDQ_CHECK(error == 0, "host \"{}\" is unknown ({})", host, gai_strerror(error));
      fail("{}:{} {} for {:.3g} s; does rank 0 run there?", host, port, describe(refused), limit);
    }
    std::this_thread::sleep_for(kBetweenTries);
  }
}

bool names_loopback(const std::string& host) { return host == "localhost" || is_loopback(host); }

std::string address_towards(const std::string& host) {
  for (const auto& target : {host, std::string(kElsewhere)}) {
    const auto address = source_address(target);
    if (address && !is_loopback(*address)) {
      return *address;
    }
  }
  return "127.0.0.1";
}

}  // namespace ssdq
