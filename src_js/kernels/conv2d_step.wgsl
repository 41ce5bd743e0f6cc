// Goes on to the next step (included inside the loop of conv2d.wgsl and conv2d_packed.wgsl): TILE_K channels from `channel` on of
// one tap; a_step and w_step are how far its elements lie from the first step's. Taps are the inner loop, so that a step's
// pixels are still in the cache for the next tap.
      tap++;
      tap_x++;
      a_step += i32(p.channels);
      w_step += p.channel_rows * p.w_stride;
      if (tap_x == KERNEL) {
        tap_x = 0u;
        a_step += (i32(p.width) - i32(KERNEL)) * i32(p.channels);
      }
      if (tap == KERNEL * KERNEL) {
        tap = 0u;
        channel += TILE_K;
        a_step = i32(channel);
        w_step = channel * p.w_stride;
      }
