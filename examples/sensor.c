/* A damaged bearing, heard by a sensor: cc -Os -I. examples/sensor.c -o sensor && ./sensor

   What a microcontroller would do: the model is constants of the program (examples/data/sensor.h, which
   examples/sensor.lua trained and `lstm export --c` wrote), all memory is static, and nothing is ever allocated. Each
   sample of an accelerometer is one step of the network, which gives the probability that the bearing is damaged; it
   is an alarm once the average of some samples says so. Here the bearing breaks after ALARMLESS samples.

   For a Cortex-M4 (12 KB of code, tests/small runs it in QEMU): arm-none-eabi-gcc -Os -mcpu=cortex-m4 -mthumb
   -mfloat-abi=hard -mfpu=fpv4-sp-d16 -ffunction-sections -Wl,--gc-sections */
#define LSTM_MALLOC(size) ((void)(size), (void *)0) /* there is no heap */
#define LSTM_FREE(pointer) ((void)(pointer))
#define LSTM_SMALL
#define LSTM_NO_FILES
#define LSTM_NO_TRAINING
#define LSTM_ONLY_ISA SCALAR
#define LSTM_IMPLEMENTATION
#include "lstm.h"

#include "data/sensor.h"
#include <stdio.h>

enum { ALARMLESS = 3000, SAMPLES = 6000, AT_MOST = 300 }; /* the alarm must come within AT_MOST samples */

/* --- the machine: two tones and noise; a damaged bearing rings each time that a ball passes the damage ----------- */

static lstm_rng rng = {11, 0};
static float uniform(float from, float to) { return from + (to - from) * lstm_random(&rng); }

/* A tone without libm: (cosine, sine) turns by a fixed angle with every sample. */
typedef struct tone {
  float c, s, turn_c, turn_s;
} tone;

static float next(tone *t) {
  float c = t->c * t->turn_c - t->s * t->turn_s, s = t->c * t->turn_s + t->s * t->turn_c;
  float keep = 1.5f - 0.5f * (c * c + s * s); /* back to length 1 */
  t->c = c * keep;
  t->s = s * keep;
  return t->s;
}

static float sample(int damaged) {
  static tone slow = {1, 0, 0.96891f, 0.24740f}, fast = {1, 0, 0.77757f, 0.62879f}; /* 0.25 and 0.68 radians */
  static float ring;
  static int left = 10;
  ring *= -0.7f;
  if (--left == 0) {
    left = 26 + lstm_random_index(&rng, 5);
    if (damaged) ring = uniform(0.6f, 0.9f);
  }
  return 0.6f * next(&slow) + 0.3f * next(&fast) + uniform(-0.1f, 0.1f) + ring;
}

/* --- the sensor --------------------------------------------------------------------------------------------------- */

static LSTM_ALIGNED unsigned char model_memory[SENSOR_MODEL_BYTES], state_memory[SENSOR_STATE_BYTES];

int main(void) {
  lstm_model *model;
  lstm_state *state;
  float average = 0;
  int alarm = -1;
  if (lstm_model_from_static(&sensor, model_memory, sizeof model_memory, &model) != LSTM_OK ||
      lstm_state_create_in(model, NULL, state_memory, sizeof state_memory, &state) != LSTM_OK)
    return 1;
  printf("flash %d bytes of weights, RAM %d of tables and %d of state\n", (int)sizeof sensor_packed, SENSOR_MODEL_BYTES,
         SENSOR_STATE_BYTES);
  for (int i = 0; i < SAMPLES && alarm < 0; i++) {
    float x[SENSOR_INPUTS] = {sample(i >= ALARMLESS)}, damaged[SENSOR_OUTPUTS];
    if (lstm_step(model, state, x, damaged) != LSTM_OK) return 1;
    average += (damaged[0] - average) / 64;
    if (i % 500 == 499) printf("sample %4d: damaged with probability %.3f\n", i + 1, (double)average);
    if (average > 0.8f) alarm = i;
  }
  if (alarm < ALARMLESS || alarm > ALARMLESS + AT_MOST) {
    printf("wrong: alarm at %d, the bearing broke at %d\n", alarm, ALARMLESS);
    return 1;
  }
  printf("alarm at sample %d, %d after the bearing broke\n", alarm, alarm - ALARMLESS);
  return 0;
}
