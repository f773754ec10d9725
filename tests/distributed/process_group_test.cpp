#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <torch/torch.h>
#include <unistd.h>

#include "ranks.h"
#include "ssdq/distributed/process_group.h"
#include "ssdq/distributed/sockets.h"
#include "ssdq/utils/error.h"

namespace ssdq {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// What `rank` adds: halves, so that sums of few ranks are exact in every type with a fraction.
torch::Tensor summand(int rank, torch::ScalarType type, int64_t rows = 5) {
  const auto values = torch::arange(rows * 7).remainder(35).view({rows, 7}) * (rank + 1);
  return values.to(torch::kFloat64).div(2).floor().to(type);
}

class AllReduce : public testing::TestWithParam<std::tuple<int, torch::ScalarType>> {};

TEST_P(AllReduce, SumsOverTheRanks) {
  const auto [size, type] = GetParam();
  for (const int64_t rows : {5, 10000}) {  // gathered, and by Gloo's all-reduce
    torch::Tensor expected = torch::zeros({rows, 7}, torch::kFloat64);
    for (int rank = 0; rank < size; ++rank) {
      expected += summand(rank, type, rows).to(torch::kFloat64);
    }
    const auto failures = run_ranks(size, [&, type = type](ProcessGroup& group) {
      auto tensor = summand(group.rank(), type, rows);
      group.all_reduce(tensor)->wait();
      SSDQ_CHECK(tensor.scalar_type() == type && tensor.equal(expected.to(type)), "{} rows: {}",
                 rows, torch::str(tensor.narrow(0, 0, 5)));
    });
    EXPECT_THAT(failures, Each(IsEmpty()));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, AllReduce,
                         testing::Combine(testing::Values(2, 4, 5),
                                          testing::Values(torch::kFloat32, torch::kFloat64,
                                                          torch::kInt64, torch::kBFloat16)),
                         [](const auto& instance) {
                           return fmt::format("{}On{}Ranks", toString(std::get<1>(instance.param)),
                                              std::get<0>(instance.param));
                         });

TEST(AllReduceOfBFloat16, RoundsTheSumOnceAndAlikeOnAllRanks) {
  for (const int size : {4, 5}) {  // gathered, and converted
    auto parts = torch::randn({size, 1000}, torch::kFloat32).to(torch::kBFloat16);
    const auto exact = parts.to(torch::kFloat64).sum(0);
    std::mutex mutex;
    std::vector<torch::Tensor> results;
    const auto failures = run_ranks(size, [&](ProcessGroup& group) {
      auto tensor = parts[group.rank()].clone();
      group.all_reduce(tensor)->wait();
      const std::lock_guard<std::mutex> lock(mutex);
      results.push_back(tensor);
    });
    ASSERT_THAT(failures, Each(IsEmpty()));
    for (const auto& result : results) {
      EXPECT_TRUE(result.equal(results.front()));
      const auto error = (result.to(torch::kFloat64) - exact).abs();
      EXPECT_TRUE((error <= exact.abs() / 256 + 1e-5).all().item<bool>());
    }
  }
}

TEST(ProcessGroup, KeepsSeveralCallsInFlightApart) {
  const auto failures = run_ranks(2, [](ProcessGroup& group) {
    std::vector<torch::Tensor> tensors;
    std::vector<std::unique_ptr<PendingCall>> calls;
    for (int i = 0; i < 20; ++i) {
      const auto type = i % 3 == 0 ? torch::kBFloat16 : torch::kFloat32;
      tensors.push_back(torch::full({1 + 1000 * i}, i + group.rank(), type));
      calls.push_back(group.all_reduce(tensors.back()));
    }
    for (int i = 19; i >= 0; --i) {
      calls[i]->wait();
      SSDQ_CHECK((tensors[i] == 2 * i + 1).all().item<bool>(), "call {}", i);
    }
  });
  EXPECT_THAT(failures, Each(IsEmpty()));
}

TEST(ProcessGroup, BroadcastsFromAnyRankTensorsOfAnyTypeAndLayout) {
  const auto failures = run_ranks(2, [](ProcessGroup& group) {
    const auto values = torch::arange(12).view({3, 4});
    for (const auto type :
         {torch::kFloat32, torch::kBFloat16, torch::kBool, torch::kInt16, torch::kFloat64}) {
      for (int root = 0; root < 2; ++root) {
        const auto sent = values.to(type).t();
        auto tensor = group.rank() == root ? sent : torch::zeros_like(sent);
        group.broadcast(tensor, root);
        SSDQ_CHECK(tensor.equal(sent), "{} from {}", toString(type), root);
      }
    }
    auto scalar = torch::tensor(group.rank() == 0 ? 3.5 : 0.0);
    group.broadcast(scalar, 0);
    SSDQ_CHECK(scalar.item<double>() == 3.5, "scalar");
    auto empty = torch::empty({0, 4});
    group.broadcast(empty, 0);
  });
  EXPECT_THAT(failures, Each(IsEmpty()));
}

TEST(ProcessGroup, GathersStringsOfUnequalLengths) {
  const auto failures = run_ranks(4, [](ProcessGroup& group) {
    const auto text = [](int rank) { return std::string(100 * rank * rank, char('a' + rank)); };
    const auto all = group.all_gather(text(group.rank()));
    SSDQ_CHECK(all == std::vector<std::string>({text(0), text(1), text(2), text(3)}), "unequal");
    SSDQ_CHECK(group.all_gather("") == std::vector<std::string>(4), "empty");
    const auto nul = group.all_gather(std::string("a\0b", 3));
    SSDQ_CHECK(nul[2] == std::string("a\0b", 3), "nul");
  });
  EXPECT_THAT(failures, Each(IsEmpty()));
}

TEST(ProcessGroup, LeavesNobodyBehindABarrier) {
  std::atomic<int> arrived{0};
  const auto failures = run_ranks(4, [&](ProcessGroup& group) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20 * group.rank()));
    ++arrived;
    group.barrier();
    SSDQ_CHECK(arrived == 4, "{} arrived", arrived.load());
  });
  EXPECT_THAT(failures, Each(IsEmpty()));
}

TEST(ProcessGroup, WorksBetweenMachines) {
  const auto body = [](ProcessGroup& group) {
    auto tensor = torch::ones({3});
    group.all_reduce(tensor)->wait();
    SSDQ_CHECK(tensor.sum().item<float>() == 6, "sum");
  };
  RanksOptions options;
  options.one_machine = false;
  options.host = address_towards("192.0.2.1");
  EXPECT_THAT(run_ranks(2, body, options), Each(IsEmpty()));
}

TEST(NcclGroup, OfOneRankMakesTheCalls_CUDA) {
  if (!torch::cuda::is_available()) {
    GTEST_SKIP() << "no CUDA device";
  }
  DistributedConfig config;
  config.backend = "nccl";
  const auto group = connect(World(), config, torch::kCUDA);
  for (const auto type : {torch::kFloat32, torch::kFloat64, torch::kBFloat16, torch::kInt64}) {
    const auto tensor = torch::arange(35).to(torch::kCUDA, type);
    const auto expected = tensor.clone();
    group->all_reduce(tensor)->wait();
    EXPECT_TRUE(tensor.equal(expected)) << type;
    group->broadcast(tensor, 0);
    EXPECT_TRUE(tensor.equal(expected)) << type;
  }
  group->barrier();
  EXPECT_THAT(group->all_gather("three"), testing::ElementsAre("three"));
}

TEST(ProcessGroup, OfOneRankNeedsNoNetwork) {
  const auto group = connect(World(), DistributedConfig(), torch::kCPU);
  auto tensor = torch::arange(3);
  group->all_reduce(tensor)->wait();
  group->broadcast(tensor, 0);
  group->barrier();
  EXPECT_TRUE(tensor.equal(torch::arange(3)));
  EXPECT_THAT(group->all_gather("x"), ElementsAre("x"));
}

TEST(ProcessGroup, RefusesTensorsWithHoles) {
  const auto failures = run_ranks(2, [](ProcessGroup& group) {
    group.all_reduce(torch::ones({3, 4}).t());
  });
  EXPECT_THAT(failures, Each(HasSubstr("contiguous")));
}

MATCHER(IsOneSentence, "") {
  return arg.find('\n') == std::string::npos && arg.find(".cpp") == std::string::npos &&
         arg.find(".cc:") == std::string::npos && arg.find("c10") == std::string::npos;
}

TEST(ProcessGroup, SaysThatARankLeft) {
  const auto failures = run_ranks(2, [](ProcessGroup& group) {
    if (group.rank() == 0) {
      auto tensor = torch::ones({1000});
      group.all_reduce(tensor)->wait();
    }
  });
  EXPECT_THAT(failures[0], AllOf(HasSubstr("rank 0 of 2: all_reduce failed: the rank at 127.0.0.1"),
                                 HasSubstr("closed the connection"), IsOneSentence()));
}

TEST(ProcessGroup, SaysThatARankHangs) {
  std::atomic<bool> gave_up{false};
  RanksOptions options;
  options.timeout = 1;
  const auto body = [&](ProcessGroup& group) {
    if (group.rank() == 1) {
      while (!gave_up) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      return;
    }
    try {
      auto tensor = torch::ones({1000});
      group.all_reduce(tensor)->wait();
    } catch (const Error&) {
      gave_up = true;
      throw;
    }
    gave_up = true;
  };
  EXPECT_THAT(run_ranks(2, body, options)[0],
              AllOf(HasSubstr("rank 0 of 2: all_reduce failed: the other ranks did not come to it "
                              "within 1 s (DISTRIBUTED.TIMEOUT)"),
                    IsOneSentence()));
}

std::string connect_error(const World& world, const std::string& backend = "auto") {
  DistributedConfig config;
  config.timeout = 0.5;
  config.backend = backend;
  try {
    connect(world, config, torch::kCPU);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Connect, SaysThatNobodyListens) {
  EXPECT_THAT(connect_error(test_world(1, 2, find_free_port())),
              AllOf(HasSubstr("rank 1 of 2: 127.0.0.1:"), HasSubstr("refused the connection"),
                    IsOneSentence()));
}

TEST(Connect, SaysThatAHostIsUnknown) {
  auto world = test_world(1, 2, 29500);
  world.host = "no-such-host.invalid";
  EXPECT_THAT(connect_error(world),
              AllOf(HasSubstr("host \"no-such-host.invalid\" is unknown"), IsOneSentence()));
}

TEST(Connect, NamesTheRanksThatDidNotCome) {
  EXPECT_THAT(connect_error(test_world(0, 4, find_free_port())),
              AllOf(HasSubstr("1 of 4 ranks came"), HasSubstr("ranks 1, 2 and 3 did not"),
                    IsOneSentence()));
}

TEST(Connect, SaysThatThePortIsBusy) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t length = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
  EXPECT_THAT(connect_error(test_world(0, 2, ntohs(address.sin_port))),
              AllOf(HasSubstr("rank 0 of 2: port"), HasSubstr("is busy"), IsOneSentence()));
  close(listener);
}

TEST(Connect, RefusesTwoProcessesOfOneRankAndRunsOfAnotherSize) {
  const int port = find_free_port();
  std::vector<std::string> errors(3);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 3; ++i) {
    threads.emplace_back(
        [&, i] { errors[i] = connect_error(test_world(i == 0 ? 0 : 1, 3, port)); });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_THAT(errors, testing::Contains(HasSubstr("another process came to 127.0.0.1")));
  EXPECT_THAT(errors[0], HasSubstr("rank 2 did not"));

  const int other = find_free_port();
  std::thread first([&] { errors[0] = connect_error(test_world(0, 2, other)); });
  errors[1] = connect_error(test_world(1, 3, other));
  first.join();
  EXPECT_THAT(errors[0], HasSubstr("rank 1 was started for 3 ranks, this one for 2"));
}

TEST(Connect, KnowsWhichBackendsThereAre) {
  EXPECT_THAT(connect_error(World(), "nccl"), HasSubstr("DISTRIBUTED.BACKEND nccl"));
}

}  // namespace
}  // namespace ssdq
