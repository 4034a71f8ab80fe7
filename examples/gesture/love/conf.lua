function love.conf(t)
  t.window.title = "gesture"
  t.window.width, t.window.height = 960, 600
  t.modules.audio, t.modules.sound, t.modules.joystick = false, false, false
  t.modules.physics, t.modules.video = false, false
end
