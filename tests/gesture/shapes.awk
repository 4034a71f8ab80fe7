# The mouse's way along a gesture, as commands for xdotool.
# usage: awk -v shape=circle -v x=300 -v y=300 -v size=200 -v seed=1 -v pause=0.002 -f shapes.awk
# (x, y): the middle, in pixels of the screen. Another hand than the game's own generator: it knows nothing of it.

function move(px, py) {
  # a steady hand: a slow wave and a turn of a few degrees, and it shakes by a pixel
  count++
  px += 0.02 * sin(count / 9 + phase); py += 0.02 * sin(count / 7 + 2 * phase)
  printf "mousemove %d %d sleep %s\n", x + size * (px * cos(turn) - py * sin(turn)) + rand() * 2 - 1,
         y + size * (px * sin(turn) + py * cos(turn)) + rand() * 2 - 1, pause
  if (count == 1) print "mousedown 1 sleep 0.02"
}

function go_to(px, py,   i) {
  for (i = count ? 1 : 0; i <= 20; i++) move(at_x + (px - at_x) * i / 20, at_y + (py - at_y) * i / 20)
  at_x = px; at_y = py
}

BEGIN {
  srand(seed); rand()
  phase = 6 * rand(); turn = 0.2 * rand() - 0.1
  if (shape == "circle") for (i = 0; i <= 48; i++) move(cos(i / 7.5 - 1.6) / 2, sin(i / 7.5 - 1.6) / 2)
  if (shape == "line") { at_x = -0.5; at_y = 0.4; go_to(0.5, -0.4) }
  if (shape == "zigzag") { at_x = -0.6; at_y = 0.3; go_to(-0.2, -0.3); go_to(0.2, 0.3); go_to(0.6, -0.3) }
  if (shape == "triangle") { at_x = 0; at_y = -0.45; go_to(0.5, 0.4); go_to(-0.5, 0.4); go_to(0, -0.45) }
  if (shape == "square") {
    at_x = -0.45; at_y = -0.45; go_to(0.45, -0.45); go_to(0.45, 0.45); go_to(-0.45, 0.45); go_to(-0.45, -0.45)
  }
  if (shape == "spiral")
    for (i = 0; i <= 110; i++) move((0.04 + i / 240) * cos(i / 6.5), (0.04 + i / 240) * sin(i / 6.5))
  print "mouseup 1"
}
