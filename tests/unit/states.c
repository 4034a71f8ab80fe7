/* States in a game: memory of the caller's, saved games, roll back, rest states, a retrained model under running
   states, agents that share nothing but the model, and silence. tests/unit/state.c has the lanes and the refusals of a
   step. */
#include "lstm.h"

#include "../helpers.h"

enum { LANES = 5, I = 3, O = 2 };

/* The layers of all models here, by what is special about them. */
typedef enum variant { PLAIN, LEARNED, GRU, OPTIONS, WIDER, VARIANTS } variant;

static lstm_model *make_model(variant v, uint64_t seed) {
  lstm_layer layers[3];
  lstm_model_desc desc = {0};
  lstm_model *model;
  layers[0] = v == GRU ? lstm_gru(9) : lstm_lstm(v == WIDER ? 10 : 9);
  layers[1] = lstm_lstm(5);
  layers[2] = lstm_dense(O);
  layers[0].learned_state = v == LEARNED || v == OPTIONS;
  if (v == OPTIONS) layers[0].projection = 4, layers[0].peephole = layers[0].layer_norm = 1;
  desc.input_size = I, desc.layers = layers, desc.layer_count = 3, desc.seed = seed;
  assert_ok(lstm_model_create(&desc, &model));
  for (int i = 0; i < lstm_model_tensor_count(model); i++) { /* learned states begin at zero: these do not */
    lstm_tensor t;
    assert_ok(lstm_model_tensor(model, i, &t));
    if (t.columns == 0) fill(t.data, t.count, seed * 100 + (uint64_t)i, .5f);
  }
  lstm_model_refresh(model);
  return model;
}

static lstm_state *make_state(const lstm_model *model, int lanes) {
  lstm_state_desc desc = {0};
  lstm_state *state;
  desc.lanes = lanes;
  assert_ok(lstm_state_create(model, &desc, &state));
  return state;
}

/* Steps all lanes; returns a digest of the outputs. */
static uint64_t step(const lstm_model *model, lstm_state *state, uint64_t seed) {
  float x[8 * I], y[8 * O];
  size_t lanes = (size_t)lstm_state_lanes(state);
  fill(x, lanes * I, seed, 2);
  assert_ok(lstm_step(model, state, x, y));
  return fnv1a_floats(FNV_BEGIN, y, lanes * O);
}

/* So many steps from tick `from` on. */
static uint64_t play(const lstm_model *model, lstm_state *state, uint64_t from, int ticks) {
  uint64_t hash = FNV_BEGIN;
  for (int t = 0; t < ticks; t++) hash = fnv1a_number(hash, step(model, state, from + (uint64_t)t), 8);
  return hash;
}

static void *save(const lstm_state *state) {
  size_t size = lstm_state_saved_size(state);
  return memcpy(make_array(size, 1), state, size);
}

/* --- sizes and memory --------------------------------------------------------------------------------------------- */

static void test_what_is_saved_is_a_head_and_the_lanes(void **arg) {
  static const int floats[VARIANTS] = {16 + 16 + 16 + 16, 16 + 16 + 16 + 16, 16 + 16 + 16, 16 + 16 + 16 + 16, 64};
  (void)arg;
  for (int v = 0; v < VARIANTS; v++) {
    lstm_model *model = make_model((variant)v, 1);
    for (int lanes = 1; lanes < 8; lanes++) {
      lstm_state *state = make_state(model, lanes);
      lstm_state_desc desc = {0};
      size_t size;
      desc.lanes = lanes;
      assert_int_equal(lstm_state_saved_size(state), 64 + (size_t)(lanes * floats[v]) * sizeof(float));
      assert_ok(lstm_state_size(model, &desc, &size));
      assert_true(size > lstm_state_saved_size(state));
      lstm_state_destroy(state);
    }
    lstm_model_destroy(model);
  }
}

static void test_states_live_in_memory_of_the_callers(void **arg) {
  lstm_model *model = make_model(OPTIONS, 1);
  lstm_state *state = make_state(model, LANES), *own;
  lstm_state_desc desc = {0};
  size_t size;
  (void)arg;
  desc.lanes = LANES;
  assert_ok(lstm_state_size(model, &desc, &size));
  char *block = (char *)make_array(size + 3 * LSTM_ALIGNMENT, 1);
  char *memory = block + LSTM_ALIGNMENT;
  memory += LSTM_ALIGNMENT - (uintptr_t)memory % LSTM_ALIGNMENT;
  memset(block, 0x77, size + 3 * LSTM_ALIGNMENT);
  assert_ok(lstm_state_create_in(model, &desc, memory, size, &own));
  assert_ptr_equal(own, memory);
  assert_true(play(model, own, 0, 20) == play(model, state, 0, 20));
  lstm_state_destroy(own); /* leaves the memory alone */
  for (char *p = block; p < memory; p++) assert_int_equal(*p, 0x77);
  for (char *p = memory + size; p < block + size + 3 * LSTM_ALIGNMENT; p++) assert_int_equal(*p, 0x77);
  assert_status(lstm_state_create_in(model, &desc, memory, size - 1, &own), LSTM_ERR_MEMORY);
  assert_null(own);
  assert_status(lstm_state_create_in(model, &desc, NULL, size, &own), LSTM_ERR_ARGUMENT);
  assert_true(lstm_state_create_in(model, &desc, memory + 4, size + 4, &own) != LSTM_OK);
  lstm_state_destroy(state), lstm_model_destroy(model);
  free(block);
}

/* --- saved games -------------------------------------------------------------------------------------------------- */

static void test_a_saved_game_goes_on_at_any_address(void **arg) {
  (void)arg;
  for (int v = 0; v < VARIANTS; v++) {
    lstm_model *model = make_model((variant)v, 1);
    lstm_state *state = make_state(model, LANES), *other = make_state(model, LANES);
    size_t size = lstm_state_saved_size(state);
    unsigned char *file = (unsigned char *)make_array(size + 8, 1);
    play(model, state, 0, 10);
    play(model, other, 50, 3);
    for (size_t shift = 0; shift < 8; shift++) {
      lstm_state *fork = make_state(model, LANES);
      memcpy(file + shift, state, size);
      assert_ok(lstm_state_restore(model, fork, file + shift, size));
      assert_memory_equal(fork, state, size);
      assert_ok(lstm_state_restore(model, other, file + shift, size)); /* over what was there */
      uint64_t wanted = play(model, fork, 10, 5);
      assert_true(play(model, other, 10, 5) == wanted);
      lstm_state_destroy(fork);
    }
    assert_ok(lstm_state_restore(model, state, state, size)); /* itself */
    lstm_state_destroy(state), lstm_state_destroy(other);
    lstm_model_destroy(model);
    free(file);
  }
}

/* Nothing of what is refused gets in. */
static void refuses(const lstm_model *model, lstm_state *state, const void *saved, size_t size, lstm_status wanted) {
  void *before = save(state);
  assert_status(lstm_state_restore(model, state, saved, size), wanted);
  assert_memory_equal(before, state, lstm_state_saved_size(state));
  free(before);
}

static void test_what_is_no_saved_game_is_refused(void **arg) {
  lstm_model *model = make_model(PLAIN, 1);
  lstm_state *state = make_state(model, LANES), *playing = make_state(model, LANES);
  size_t size = lstm_state_saved_size(state);
  (void)arg;
  play(model, state, 0, 10);
  play(model, playing, 90, 4);
  unsigned char *saved = (unsigned char *)save(state), *longer = (unsigned char *)make_array(size * 2, 1);
  memcpy(longer, saved, size);
  for (size_t cut = 0; cut < size; cut++) refuses(model, playing, saved, cut, LSTM_ERR_MISMATCH);
  for (size_t more = 1; more <= size; more += 7) refuses(model, playing, longer, size + more, LSTM_ERR_MISMATCH);
  for (size_t bit = 0; bit < 32 * 8; bit++) { /* fingerprint, sizes, lanes, version */
    saved[bit / 8] = (unsigned char)(saved[bit / 8] ^ (1 << bit % 8));
    refuses(model, playing, saved, size, LSTM_ERR_MISMATCH);
    saved[bit / 8] = (unsigned char)(saved[bit / 8] ^ (1 << bit % 8));
  }
  refuses(model, playing, NULL, size, LSTM_ERR_ARGUMENT);
  refuses(NULL, playing, saved, size, LSTM_ERR_ARGUMENT);
  assert_status(lstm_state_restore(model, NULL, saved, size), LSTM_ERR_ARGUMENT);
  assert_ok(lstm_state_restore(model, playing, saved, size));
  lstm_state_destroy(state), lstm_state_destroy(playing);
  lstm_model_destroy(model);
  free(saved), free(longer);
}

static void test_a_saved_game_of_others_is_refused(void **arg) {
  lstm_model *models[VARIANTS];
  lstm_state *states[VARIANTS];
  (void)arg;
  for (int v = 0; v < VARIANTS; v++) models[v] = make_model((variant)v, 1), states[v] = make_state(models[v], LANES);
  for (int to = 0; to < VARIANTS; to++) {
    lstm_state *fewer = make_state(models[to], LANES - 1);
    refuses(models[to], states[to], fewer, lstm_state_saved_size(fewer), LSTM_ERR_MISMATCH);
    refuses(models[to], states[to], fewer, lstm_state_saved_size(states[to]) / 2, LSTM_ERR_MISMATCH);
    refuses(models[to], fewer, states[to], lstm_state_saved_size(states[to]), LSTM_ERR_MISMATCH);
    refuses(models[to], fewer, states[to], lstm_state_saved_size(fewer), LSTM_ERR_MISMATCH);
    lstm_state_destroy(fewer);
    for (int from = 0; from < VARIANTS; from++) {
      if (from == to) continue;
      refuses(models[to], states[to], states[from], lstm_state_saved_size(states[from]), LSTM_ERR_MISMATCH);
      refuses(models[from], states[to], states[to], lstm_state_saved_size(states[to]), LSTM_ERR_MISMATCH);
    }
  }
  for (int v = 0; v < VARIANTS; v++) lstm_state_destroy(states[v]), lstm_model_destroy(models[v]);
}

/* --- rolling back and resets -------------------------------------------------------------------------------------- */

/* Goes back 8 ticks and plays them again, from each tick on. */
static void test_roll_back_and_replay(void **arg) {
  enum { BACK = 8 };
  (void)arg;
  for (int v = 0; v < VARIANTS; v++) {
    lstm_model *model = make_model((variant)v, 1);
    lstm_state *state = make_state(model, LANES);
    size_t size = lstm_state_saved_size(state);
    char *ring = (char *)make_array(BACK, size);
    for (uint64_t tick = 0; tick < 40; tick++) {
      if (tick >= BACK) {
        void *now = save(state);
        memcpy(state, ring + tick % BACK * size, size);
        play(model, state, tick - BACK, BACK);
        assert_memory_equal(now, state, size);
        free(now);
      }
      memcpy(ring + tick % BACK * size, state, size);
      play(model, state, tick, 1);
    }
    lstm_state_destroy(state), lstm_model_destroy(model);
    free(ring);
  }
}

/* Lane 2 is put to zero, to the learned state, or to one saved at rest; the others keep theirs, bit for bit. */
static void test_one_lane_begins_anew(void **arg) {
  enum { ZERO, INITIAL, REST, WAYS, LANE = 2 };
  (void)arg;
  for (int v = 0; v < VARIANTS; v++) {
    lstm_model *model = make_model((variant)v, 1);
    lstm_state *rest = make_state(model, 1), *fresh = make_state(model, 1);
    size_t S = (size_t)lstm_model_state_size(model);
    float *zero = make_floats(S), *initial = make_floats(S), *rested = make_floats(S), *now = make_floats(S);
    play(model, rest, 1000, 30); /* idles until it has settled */
    assert_ok(lstm_state_get(model, rest, 0, rested));
    assert_ok(lstm_state_get(model, fresh, 0, initial));
    assert_int_equal(same_bits(zero, initial, S), v != LEARNED && v != OPTIONS);
    for (int way = 0; way < WAYS; way++) {
      lstm_state *state = make_state(model, LANES), *before = make_state(model, LANES);
      play(model, state, 0, 10);
      memcpy(before, state, lstm_state_saved_size(state));
      if (way == ZERO) assert_ok(lstm_state_reset_lane(state, LANE));
      if (way == INITIAL) assert_ok(lstm_state_begin(model, state, LANE));
      if (way == REST) assert_ok(lstm_state_copy_lane(state, LANE, rest, 0));
      assert_ok(lstm_state_get(model, state, LANE, now));
      assert_bits(now, way == ZERO ? zero : way == INITIAL ? initial : rested, S);
      assert_memory_not_equal(state, before, lstm_state_saved_size(state));
      assert_ok(lstm_state_copy_lane(state, LANE, before, LANE));
      assert_memory_equal(state, before, lstm_state_saved_size(state)); /* the others, and all padding */
      lstm_state_destroy(state), lstm_state_destroy(before);
    }
    lstm_state_destroy(rest), lstm_state_destroy(fresh), lstm_model_destroy(model);
    free(zero), free(initial), free(rested), free(now);
  }
}

/* --- other weights under running states --------------------------------------------------------------------------- */

static void test_a_retrained_model_goes_on_with_the_states(void **arg) {
  (void)arg;
  for (int v = 0; v < VARIANTS; v++) {
    lstm_model *model = make_model((variant)v, 1), *retrained = make_model((variant)v, 2);
    lstm_model *other = make_model(v == PLAIN ? WIDER : PLAIN, 1);
    lstm_state *state = make_state(model, LANES), *twin = make_state(retrained, LANES);
    float x[LANES * I] = {0}, y[LANES * O];
    play(model, state, 0, 10);
    for (int lane = 0; lane < LANES; lane++) assert_ok(lstm_state_copy_lane(twin, lane, state, lane));
    assert_true(play(retrained, state, 10, 5) == play(retrained, twin, 10, 5)); /* as if it had been its own */
    void *before = save(state);
    assert_status(lstm_step(other, state, x, y), LSTM_ERR_MISMATCH);
    assert_memory_equal(before, state, lstm_state_saved_size(state));
    assert_ok(lstm_state_restore(retrained, twin, before, lstm_state_saved_size(state)));
    assert_ok(lstm_model_copy_weights(model, retrained)); /* or swapped in below all that point to it */
    assert_true(play(model, state, 20, 5) == play(retrained, twin, 20, 5));
    free(before);
    lstm_state_destroy(state), lstm_state_destroy(twin);
    lstm_model_destroy(model), lstm_model_destroy(retrained), lstm_model_destroy(other);
  }
}

/* Many agents of one model, in one state or each in its own: what one sees, no other feels. */
static void test_agents_share_nothing(void **arg) {
  (void)arg;
  for (int v = 0; v < VARIANTS; v++) {
    lstm_model *model = make_model((variant)v, 1);
    lstm_state *own[LANES], *crowd = make_state(model, LANES);
    float x[LANES * I], y[LANES * O], one[O];
    for (int a = 0; a < LANES; a++) own[a] = make_state(model, 1);
    for (uint64_t tick = 0; tick < 20; tick++) {
      fill(x, LANES * I, tick, 2);
      assert_ok(lstm_step(model, crowd, x, y));
      for (int a = LANES - 1; a >= 0; a--) {
        assert_ok(lstm_step(model, own[a], x + a * I, one));
        assert_bits(one, y + a * O, O);
      }
    }
    for (int a = 0; a < LANES; a++) lstm_state_destroy(own[a]);
    lstm_state_destroy(crowd), lstm_model_destroy(model);
  }
}

/* --- silence ------------------------------------------------------------------------------------------------------ */

/* Zero biases, so that without input all fades. */
static lstm_model *make_fading(int kind, lstm_isa isa) {
  lstm_layer layer = kind == 1 ? lstm_gru(20) : lstm_lstm(20);
  lstm_model_desc desc = {0};
  lstm_model *model;
  if (kind == 2) layer.peephole = 1;
  if (kind == 3) layer.coupled = 1;
  if (kind == 4) layer.projection = 7;
  desc.input_size = I, desc.layers = &layer, desc.layer_count = 1, desc.seed = 3, desc.isa = isa;
  assert_ok(lstm_model_create(&desc, &model));
  return model;
}

/* Ends at zeros, not at the smallest numbers there are; not a number never fades. */
static void check_fading(lstm_model *model, const char *name) {
  float loud[I] = {2, -2, 1}, silence[I] = {0}, values[40] = {0}, zero = 0;
  lstm_state *state = make_state(model, 1);
  int S = lstm_model_state_size(model), left = S, steps = 0;
  for (int t = 0; t < 50; t++) assert_ok(lstm_step(model, state, loud, NULL));
  for (; left && steps < 5000; steps++) {
    assert_ok(lstm_step(model, state, silence, NULL));
    assert_ok(lstm_state_get(model, state, 0, values));
    left = 0;
    for (int i = 0; i < S; i++) left += values[i] != 0;
  }
  if (left || steps < 50) fail_msg("%s: %d of %d numbers are left after %d steps", name, left, S, steps);
  values[S - 1] = zero / zero;
  assert_ok(lstm_state_set(model, state, 0, values));
  assert_ok(lstm_step(model, state, silence, NULL));
  assert_ok(lstm_state_get(model, state, 0, values));
  assert_true(values[S - 1] != values[S - 1]);
  lstm_state_destroy(state);
}

static void test_what_fades_ends_at_zero(void **arg) {
  (void)arg;
  for (int isa = LSTM_ISA_SCALAR; isa < LSTM_ISA_COUNT; isa++)
    for (int kind = 0; lstm_isa_usable((lstm_isa)isa) && kind < 5; kind++) {
      lstm_model *model = make_fading(kind, (lstm_isa)isa);
      check_fading(model, lstm_isa_name((lstm_isa)isa));
      lstm_model_destroy(model);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_saved_is_a_head_and_the_lanes),
      cmocka_unit_test(test_states_live_in_memory_of_the_callers),
      cmocka_unit_test(test_a_saved_game_goes_on_at_any_address),
      cmocka_unit_test(test_what_is_no_saved_game_is_refused),
      cmocka_unit_test(test_a_saved_game_of_others_is_refused),
      cmocka_unit_test(test_roll_back_and_replay),
      cmocka_unit_test(test_one_lane_begins_anew),
      cmocka_unit_test(test_a_retrained_model_goes_on_with_the_states),
      cmocka_unit_test(test_agents_share_nothing),
      cmocka_unit_test(test_what_fades_ends_at_zero),
  };
  return cmocka_run_group_tests_name("unit/states", tests, NULL, NULL);
}
