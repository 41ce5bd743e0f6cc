/** Reads the beginning of what lies in a GPU buffer. */

const MOST_BYTES = 65_536;

/**
 * @param {GPUDevice} device
 * @param {GPUBuffer} buffer
 * @param {number} offset bytes, a multiple of 4
 * @param {number} length bytes there are from `offset` on, at least 4
 * @returns {Promise<ArrayBuffer>} their first MOST_BYTES at most, whole words
 */
export async function readStart(device, buffer, offset, length) {
  const size = Math.min(MOST_BYTES, length - (length % 4));
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const copy = staging.getMappedRange().slice(0);
  staging.destroy();
  return copy;
}
