#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>

namespace mayfly::jail {

/// A TCP address: "127.0.0.2:9001" or "[::1]:9001".
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr_in* v4() { return reinterpret_cast<sockaddr_in*>(&storage); }
  sockaddr_in6* v6() { return reinterpret_cast<sockaddr_in6*>(&storage); }
  void set_port(std::uint16_t port) { (family() == AF_INET ? v4()->sin_port : v6()->sin6_port) = htons(port); }
  bool read_name(int socket) { return ::getsockname(socket, reinterpret_cast<sockaddr*>(&storage), &length) == 0; }
  std::string text() {
    char host[INET6_ADDRSTRLEN] = {};
    const bool four = family() == AF_INET;
    ::inet_ntop(family(), four ? static_cast<void*>(&v4()->sin_addr) : &v6()->sin6_addr, host, sizeof host);
    const std::string port = std::to_string(ntohs(four ? v4()->sin_port : v6()->sin6_port));
    return four ? std::string(host) + ":" + port : "[" + std::string(host) + "]:" + port;
  }
};

inline std::optional<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view digits = text.substr(colon + 1);
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  const int port = std::stoi(std::string(digits));
  if (port > 65535) return std::nullopt;
  std::string host(text.substr(0, colon));
  Address address;
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    address.storage.ss_family = AF_INET6;
    address.length = sizeof(sockaddr_in6);
    if (::inet_pton(AF_INET6, host.c_str(), &address.v6()->sin6_addr) != 1) return std::nullopt;
  } else {
    address.storage.ss_family = AF_INET;
    address.length = sizeof(sockaddr_in);
    if (::inet_pton(AF_INET, host.c_str(), &address.v4()->sin_addr) != 1) return std::nullopt;
  }
  address.set_port(static_cast<std::uint16_t>(port));
  return address;
}

}  // namespace mayfly::jail
