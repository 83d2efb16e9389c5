#include "sandbox/jail/seccomp.h"

#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "sandbox/jail/syscalls.h"

namespace mayfly::jail {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "add this architecture's audit number and check the list of system calls"
#endif

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t refuse(int error) { return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error); }

constexpr std::uint32_t kNamespaceFlags =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | 0x80 /* CLONE_NEWTIME */;

class Assembler {
 public:
  void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
  void answer(std::uint32_t value) { add(BPF_RET | BPF_K, value); }
  void mask(std::uint32_t value) { add(BPF_ALU | BPF_AND | BPF_K, value); }
  /// Skips `count` instructions unless the loaded value is `value`.
  void unless_equal_skip(std::uint32_t value, std::uint8_t count) { code_.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, count, value}); }
  void if_equal_skip(std::uint32_t value, std::uint8_t count) { code_.push_back({BPF_JMP | BPF_JEQ | BPF_K, count, 0, value}); }
  void if_equal_answer(std::uint32_t value, std::uint32_t result) {
    unless_equal_skip(value, 1);
    answer(result);
  }
  void if_bits_answer(std::uint32_t bits, std::uint32_t result) {
    code_.push_back({BPF_JMP | BPF_JSET | BPF_K, 0, 1, bits});
    answer(result);
  }
  /// The result of a chosen call: `body` must answer in every path.
  template <class Body>
  void on_call(int number, Body body) {
    const std::size_t test = code_.size();
    unless_equal_skip(static_cast<std::uint32_t>(number), 0);
    body();
    code_[test].jf = static_cast<std::uint8_t>(code_.size() - test - 1);
  }
  /// A balanced tree over ranges [first, last] of allowed numbers: a list of 300 comparisons costs half a millisecond to install.
  void tree(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& ranges, std::size_t begin, std::size_t end,
            std::uint32_t otherwise) {
    if (begin == end) return answer(otherwise);
    if (end - begin == 1) {
      code_.push_back({BPF_JMP | BPF_JGE | BPF_K, 0, 1, ranges[begin].first});
      code_.push_back({BPF_JMP | BPF_JGT | BPF_K, 0, 1, ranges[begin].second});
      answer(otherwise);
      return answer(kAllow);
    }
    const std::size_t middle = begin + (end - begin) / 2;
    code_.push_back({BPF_JMP | BPF_JGE | BPF_K, 0, 1, ranges[middle].first});
    const std::size_t jump = code_.size();
    add(BPF_JMP | BPF_JA, 0);
    const std::size_t left = code_.size();
    tree(ranges, begin, middle, otherwise);
    // JGE true falls into the JA to the right half; false skips it into the left half.
    code_[jump].k = static_cast<std::uint32_t>(code_.size() - left);
    tree(ranges, middle, end, otherwise);
  }
  std::vector<sock_filter> take() { return std::move(code_); }

 private:
  void add(unsigned code, std::uint32_t k) { code_.push_back({static_cast<std::uint16_t>(code), 0, 0, k}); }
  std::vector<sock_filter> code_;
};

constexpr std::size_t argument(std::size_t index) { return offsetof(seccomp_data, args) + index * 8; }  // low half: little endian

void socket_rules(Assembler& out) {
  out.on_call(SYS_socket, [&] {
    out.load(argument(0));
    out.if_equal_answer(AF_UNIX, kAllow);
    out.on_call(AF_NETLINK, [&] {
      out.load(argument(2));
      out.if_equal_answer(NETLINK_ROUTE, kAllow);
      out.answer(refuse(EPERM));
    });
    for (const std::uint32_t family : {AF_INET, AF_INET6}) {
      out.on_call(static_cast<int>(family), [&] {
        out.load(argument(1));
        out.mask(0xf);
        // Other protocols would load their module into the kernel.
        for (const auto& [type, protocol] : {std::pair(SOCK_STREAM, IPPROTO_TCP), std::pair(SOCK_DGRAM, IPPROTO_UDP)}) {
          out.on_call(type, [&] {
            out.load(argument(2));
            out.if_equal_answer(0, kAllow);
            out.if_equal_answer(static_cast<std::uint32_t>(protocol), kAllow);
            out.answer(refuse(EPROTONOSUPPORT));
          });
        }
        out.answer(refuse(EPERM));
      });
    }
    out.answer(refuse(EPERM));
  });
  out.on_call(SYS_socketpair, [&] {
    out.load(argument(0));
    out.if_equal_answer(AF_UNIX, kAllow);
    out.answer(refuse(EPERM));
  });
}

void argument_rules(Assembler& out, Filter filter) {
  socket_rules(out);
  out.on_call(SYS_ioctl, [&] {
    out.load(argument(1));
    out.if_equal_answer(0x5412 /* TIOCSTI: types into a terminal */, refuse(EPERM));
    out.if_equal_answer(0x541c /* TIOCLINUX */, refuse(EPERM));
    out.answer(kAllow);
  });
  out.on_call(SYS_personality, [&] {
    out.load(argument(0));
    for (const std::uint32_t value : {0U, 8U, 0x20000U, 0x20008U, 0xffffffffU}) out.if_equal_answer(value, kAllow);
    out.answer(refuse(EPERM));
  });
  if (filter == Filter::Zygote) return;
  out.on_call(SYS_clone, [&] {
    out.load(argument(0));
    out.if_bits_answer(kNamespaceFlags, refuse(EPERM));
    out.answer(kAllow);
  });
  out.on_call(SYS_clone3, [&] { out.answer(refuse(ENOSYS)); });  // its flags lie in memory, where no filter can see them
  out.on_call(SYS_io_uring_setup, [&] { out.answer(refuse(ENOSYS)); });
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges_of(std::vector<int> numbers) {
  std::sort(numbers.begin(), numbers.end());
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ranges;
  for (const int number : numbers) {
    const auto value = static_cast<std::uint32_t>(number);
    if (!ranges.empty() && value <= ranges.back().second + 1) {
      ranges.back().second = value;
    } else {
      ranges.emplace_back(value, value);
    }
  }
  return ranges;
}

}  // namespace

std::vector<sock_filter> make_filter(Filter filter) {
  std::vector<int> allowed(std::begin(kProgramCalls), std::end(kProgramCalls));
  if (filter == Filter::First) allowed.assign(std::begin(kFirstCalls), std::end(kFirstCalls));
  if (filter == Filter::Zygote) allowed.insert(allowed.end(), std::begin(kZygoteCalls), std::end(kZygoteCalls));
  Assembler out;
  out.load(offsetof(seccomp_data, arch));
  out.if_equal_skip(kArchitecture, 1);
  out.answer(SECCOMP_RET_KILL_PROCESS);
  out.load(offsetof(seccomp_data, nr));
  if (filter != Filter::First) argument_rules(out, filter);
  const auto ranges = ranges_of(std::move(allowed));
  out.tree(ranges, 0, ranges.size(), refuse(EPERM));
  return out.take();
}

bool install_filter(const std::vector<sock_filter>& filter) {
  sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

}  // namespace mayfly::jail
