// llama.cpp, built for this processor, as a contender of the benchmark: bench/protocol.ts says what is spoken.
//
//     bench-llama SETUP          (JSON)
//
// With llama.cpp's own defaults where it has any, as in bench/peers/llama.ts: keys and values in f16, flash attention if
// it helps. Greedy ids are picked here; that costs as much as everywhere else.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "llama.h"

using json = nlohmann::json;
using Clock = std::chrono::steady_clock;

namespace {

const char *const MARK = "@bench ";

void reply(const json &value) { std::cout << MARK << value.dump() << std::endl; }

void complain(ggml_log_level level, const char *text, void *) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

// Of "CPU : SSE3 = 1 | AVX512 = 1 | ... |" the names that are 1.
std::string features() {
  std::string text = llama_print_system_info(), names;
  std::istringstream words(text);
  std::string word, equals, value;
  while (words >> word) {
    if (word == "|" || word == ":" || word == "CPU") continue;
    if (!(words >> equals >> value) || equals != "=") break;
    if (value == "1") names += (names.empty() ? "" : ", ") + word;
  }
  return names;
}

struct Batch {
  llama_batch batch;
  explicit Batch(int tokens) : batch(llama_batch_init(tokens, 0, 1)) {}
  Batch(const Batch &) = delete;
  ~Batch() { llama_batch_free(batch); }

  void add(llama_token id, int position, int sequence, bool logits) {
    const int n = batch.n_tokens++;
    batch.token[n] = id;
    batch.pos[n] = position;
    batch.n_seq_id[n] = 1;
    batch.seq_id[n][0] = sequence;
    batch.logits[n] = logits;
  }
};

class Contestant {
 public:
  explicit Contestant(const json &setup) : threads_(setup["threads"]), n_ctx_(setup["config"]["nCtx"]) {
    llama_backend_init();
    model_ = llama_model_load_from_file(setup["file"].get<std::string>().c_str(), llama_model_default_params());
    if (!model_) throw std::runtime_error("llama.cpp does not load the model");
    vocabulary_ = llama_vocab_n_tokens(llama_model_get_vocab(model_));
    reserve(n_ctx_, 1);
  }

  json generate(const json &task) {
    reserve(n_ctx_, 1);
    auto [ids, seconds] = extend({task["prompt"]}, task["count"]);
    return {{"ids", ids[0]}, {"seconds", seconds}};
  }

  json batch(const json &task) {
    const std::vector<std::vector<int>> prompts = task["prompts"];
    size_t longest = 0;
    for (const auto &prompt : prompts) longest = std::max(longest, prompt.size());
    // Each sequence's share of the cache, in the blocks of 256 that llama.cpp makes it of.
    const int share = (static_cast<int>(longest) + task["count"].get<int>() + 1 + 255) / 256 * 256;
    reserve(share * static_cast<int>(prompts.size()), static_cast<int>(prompts.size()));
    auto [ids, seconds] = extend(prompts, task["count"]);
    return {{"ids", ids}, {"seconds", seconds}};
  }

 private:
  // Makes a context of so many tokens in all for so many sequences, unless there is one.
  void reserve(int tokens, int sequences) {
    if (context_ && tokens == reserved_ && sequences == sequences_) return;
    if (context_) llama_free(context_);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(tokens);
    params.n_batch = static_cast<uint32_t>(n_ctx_);
    params.n_seq_max = static_cast<uint32_t>(sequences);
    params.n_threads = params.n_threads_batch = threads_;
    context_ = llama_init_from_model(model_, params);
    if (!context_) throw std::runtime_error("llama.cpp makes no context");
    reserved_ = tokens;
    sequences_ = sequences;
  }

  // The prompts into empty sequences, then `count` tokens after the first new one of each.
  std::pair<std::vector<std::vector<int>>, std::vector<double>> extend(std::vector<std::vector<int>> tokens, int count) {
    llama_memory_clear(llama_get_memory(context_), false);
    std::vector<std::vector<int>> ids(tokens.size());
    std::vector<double> seconds;
    std::vector<int> lengths(tokens.size());
    for (int i = 0; i <= count; i++) {
      const auto start = Clock::now();
      size_t total = 0;
      for (const auto &t : tokens) total += t.size();
      Batch batch(static_cast<int>(total));
      std::vector<int> last;
      for (size_t s = 0; s < tokens.size(); s++) {
        for (size_t k = 0; k < tokens[s].size(); k++)
          batch.add(tokens[s][k], lengths[s]++, static_cast<int>(s), k + 1 == tokens[s].size());
        last.push_back(batch.batch.n_tokens - 1);
      }
      if (llama_decode(context_, batch.batch) != 0) throw std::runtime_error("llama_decode fails");
      for (size_t s = 0; s < tokens.size(); s++) {
        const float *logits = llama_get_logits_ith(context_, last[s]);
        const int id = static_cast<int>(std::max_element(logits, logits + vocabulary_) - logits);
        tokens[s] = {id};
        ids[s].push_back(id);
      }
      seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    return {ids, seconds};
  }

  const int threads_, n_ctx_;
  int reserved_ = 0, sequences_ = 0, vocabulary_ = 0;
  llama_model *model_ = nullptr;
  llama_context *context_ = nullptr;
};

}  // namespace

int main(int argc, char **argv) try {
  if (argc != 2) throw std::runtime_error("usage: bench-llama SETUP");
  llama_log_set(complain, nullptr);
  const json setup = json::parse(argv[1]);
  Contestant contestant(setup);
  const json &config = setup["config"];
  const long cells = 2L * config["nCtx"].get<long>() * config["nEmbd"].get<long>() * config["nLayer"].get<long>();
  const std::string description = std::string(LLAMA_RELEASE) + " built for this machine (" + features() + ")";
  reply({{"description", description}, {"cacheBytes", 2 * cells}});
  for (std::string line; std::getline(std::cin, line);) {
    const json task = json::parse(line);
    if (task["kind"] == "generate") reply(contestant.generate(task));
    else if (task["kind"] == "batch") reply(contestant.batch(task));
    else throw std::runtime_error("can't do " + task["kind"].get<std::string>());
  }
  return 0;
} catch (const std::exception &error) {
  std::fprintf(stderr, "Error: %s\n", error.what());
  return 1;
}
