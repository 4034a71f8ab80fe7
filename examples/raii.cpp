// lstm.h in C++11: c++ -O2 -std=c++11 -I. examples/raii.cpp -o raii && ./raii
//
// Some thirty lines make it a library of C++: objects that destroy themselves, exceptions with the library's sentence,
// and spans. Below, they train a network to tell whether a sine is about to rise or to fall, save, load and step it.
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <cmath>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <vector>

namespace lstm {

struct deleter {
  void operator()(lstm_model *p) const { lstm_model_destroy(p); }
  void operator()(lstm_state *p) const { lstm_state_destroy(p); }
  void operator()(lstm_trainer *p) const { lstm_trainer_destroy(p); }
};
template <class T> using owner = std::unique_ptr<T, deleter>;
using model = owner<lstm_model>;
using state = owner<lstm_state>;
using trainer = owner<lstm_trainer>; // declare it after its model: then it goes first

inline void check(lstm_status status, const lstm_error &error = lstm_error()) {
  if (status != LSTM_OK) throw std::runtime_error(*error.message ? error.message : lstm_status_text(status));
}
// Any function of lstm.h that ends in (desc, &object).
template <class T, class F, class D, class... A> owner<T> make(F function, D desc, A... first) {
  lstm_error error = {};
  T *made = nullptr;
  desc.error = &error;
  check(function(first..., &desc, &made), error);
  return owner<T>(made);
}
template <class T> struct span { // C++20 has std::span
  T *data;
  std::size_t size;
  template <class C> span(C &from) : data(from.data()), size(from.size()) {}
};
// One step of all lanes: x [N][I] -> y [N][O].
inline void step(const model &m, const state &s, span<const float> x, span<float> y) {
  const auto is = [&s](std::size_t size, int each) { return size == std::size_t(each * lstm_state_lanes(s.get())); };
  if (!is(x.size, lstm_model_input_size(m.get())) || !is(y.size, lstm_model_output_size(m.get())))
    throw std::length_error("lstm::step: x or y has another size than the model's");
  check(lstm_step(m.get(), s.get(), x.data, y.data));
}

} // namespace lstm

static const int STEPS = 20, LANES = 16;

static float sine(int t, int lane) { return std::sin(0.4f * static_cast<float>(t) + static_cast<float>(lane)); }

static lstm::model train() {
  lstm_layer layers[] = {lstm_lstm(8), lstm_dense(1)};
  lstm_model_desc desc = {};
  desc.input_size = 1, desc.layers = layers, desc.layer_count = 2, desc.seed = 1;
  lstm::model model = lstm::make<lstm_model>(lstm_model_create, desc);
  lstm_trainer_desc how = {};
  how.loss = LSTM_BINARY_CROSS_ENTROPY, how.batch_size = LANES, how.seq_len = STEPS, how.learning_rate = 0.03f;
  lstm::trainer trainer = lstm::make<lstm_trainer>(lstm_trainer_create, how, model.get());
  std::vector<float> x, rises;
  for (int t = 0; t < STEPS; t++)
    for (int lane = 0; lane < LANES; lane++) {
      x.push_back(sine(t, lane));
      rises.push_back(sine(t + 1, lane) > sine(t, lane) ? 1.0f : 0.0f);
    }
  lstm_batch batch = {};
  batch.x = x.data(), batch.targets = rises.data();
  float loss = 0;
  for (int i = 0; i < 300; i++) lstm::check(lstm_train(trainer.get(), &batch, &loss));
  std::printf("trained: loss %.3f\n", static_cast<double>(loss));
  return model;
}

static lstm::model load(const std::vector<unsigned char> &bytes) {
  return lstm::make<lstm_model>(lstm_load_memory, lstm_load_desc(), bytes.data(), bytes.size());
}

int main() try {
  lstm::model trained = train();
  std::vector<unsigned char> bytes(1 << 16);
  size_t size = 0;
  lstm::check(lstm_save_memory(trained.get(), nullptr, bytes.data(), bytes.size(), &size));
  bytes.resize(size);
  lstm::model model = load(bytes);
  lstm::state state = lstm::make<lstm_state>(lstm_state_create, lstm_state_desc(), model.get());
  int right = 0;
  for (int t = 0; t < 100; t++) {
    std::vector<float> x = {sine(t, 100)}, y(1);
    lstm::step(model, state, x, y);
    right += t >= 5 && (y[0] > 0.5f) == (sine(t + 1, 100) > sine(t, 100));
  }
  std::printf("%d of 95 steps are told rightly\n", right);
  try { // what goes wrong is an exception with the library's sentence
    bytes.resize(size / 2);
    load(bytes);
    return 1;
  } catch (const std::runtime_error &e) {
    std::printf("half a file: %s\n", e.what());
  }
  return right < 90;
} catch (const std::exception &e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
