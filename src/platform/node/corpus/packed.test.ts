/** xz and lz4, as their own programs (xz 5, lz4 1.9) packed sixty lines. */
import { ok, rejects, strictEqual } from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openInput } from './input.ts';

const folder = mkdtempSync(join(tmpdir(), 'packed-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const text = Array.from(
  { length: 60 },
  (_, i) => `Line ${i}: the llama and its cria walk ${i * i} steps up the hill.\n`,
).join('');

const packed: Readonly<Record<string, string>> = {
  'xz, CRC-64':
    '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4A4TATVdACYaScZnQTtrXaaOmB4G25Bfv5I/l1lKwhRch1zLR6QtWiKqFQ2XnLE8XKBZNh2exGg+SkVTD+ewSpUVNUS0WQHHrdz5TEto2RJc6M7M0dryvADx0oGd207EYUIpm1DIR+lvmgQMj2AUXzEw7lcakGA0JefSi9xisQhOU9vMTN5u9xv9VUF+xz+gOw4s+PmLGps3Li/pI0qRYeqMP/IYAtDmcBmlZc9UbDEy+qGX99dT73w4rA0nuqiSJ3e/M5IEXKRVbrL6b59yGzNKnkTmxJUOFTlGPlJB8D+VQxEGOocDHncgrVaccC6FvhmSDcco9Xiv7JBpmEj8/U9l2ftXeG32OJlS8iTh+AG+8JSqMNGDtJRb0ky1V4Vfgah5vddy05FpQbzo13tVpAE2qoHxZqO9p7Z3AAAAAAAxLLdD5L4NkwAB0QKUHAAA0GTpR7HEZ/sCAAAAAARZWg==',
  'xz, CRC-32, blocks of 1 KB':
    '/Td6WFoAAAFpIt42AgAhARYAAAB0L+Wj4AP/AJZdACYaScZnQTtrXaaOmB4G25Bfv5I/l1lKwhRch1zLR6QtWiKqFQ2XnLE8XKBZNh2exGg+SkVTD+ewSpUVNUS0WQHHrdz5TEto2RJc6M7M0dryvADx0oGd207EYUIpm1DIR+lvmgQMj2AUXzEw7lcakGA0JefSi9xisQhOU9vMTN5u9xv9VUF+xz+gOw4s+PmLGps3B7NxYAAAAFduo2sCACEBFgAAAHQv5aPgA/8AnF0AORpIQjn9X43AFU2dhIEPhPtK3LKq3UL7NRxhoTEqMHsdvQilyfzZ+9RCCOBGWn1sc9HuN2R0ZMCvpc8gaRLqDuNo4OEg7SNVmTGMRnVlEABBSPwXLTJS3ouKH2AH35J3EQIBr5NHu8Zzc/lCs1lsTtW/6iE93880SmOqC+ZC7eVRCOzuFmotxjznu3w56G51Q8MBZPGKXI/vDaWAALqBuRoCACEBFgAAAHQv5aPgA/8An10AMIgK5lQt35wdFtjU9TpgzFJo4+ToDVmfPZ0AkmDqCJcNm/pQjmIA+iQXYVFbNgz9YqETZ6sd6euqTbWwu/CgrfSgm92M6Y9YyTTq3VaohX8yEL69emicyYpf5Gxzk3PfyNFAQbU/hAL2q7CpOxmNEA1ygYeJiXg+7T05EIkR9f2D5CXITp34H1uTe87Wczc3IzQCBqv9uk3t0imrE30AAABIii4sAgAhARYAAAB0L+Wj4AITAHRdADCICCcjq4rGvByAOOO5Rqy77vIOSyuoO5yoh/JBDs2+7+Wqd40p1sG7gVdcbB4uwWXyuGRkQJU9+f3CVMIdbo6tS9tkdI+j7q2pRUrSZ1PO+q6e+PJxQq8I6dcXsodH3PNLP1x/l3MiiwlIHUYK8t2fZc4AAKaFEJQABK4BgAi0AYAItwGACIwBlAQAAIgvSFSGAAiWBQAAAAABWVo=',
  'xz, other contexts':
    '/Td6WFoAAATm1rRGAgAhAQAAAAA3J5fW4A4TAW4SACYbHRTfEeZf5EOqa2jQdsga+RA/YzXskHofXjud+/XG+UynVcj9fZ+A9QQnMNTlBhv8B7vvC6BOOWFtzytubP/nz7D8SJJk1Vz8U83c2HgSbUCP9+gnVpm3iwixMaOXbIp1oqcPNkWBjAJYs3gh3mHDYPbSlNS5zPMxnLjPq2lzgm2V5sYU7Ps76aM+cAE+5VVZuCixrkUS1x2WaqTszk36jxFQ6GVzJ1Ul9b1LNuxC/NpnzU8mM/7FlP34EwQpC6XRzTD1UuqqypEsVx6tHk+5mQjzsiujdx91agoXWF/oo7ZO1TYxsn5uINL12MHMQhbaYW4SdqbOqPUEpGhQPwdRm5pbc0FJn3awmqRny+dqUzKhWJVCdbVlHJkuQCvxUYM6SfVMDWBHA9fk6ZYkLwJfHBJyK6LTVPOfjT6hfMpTPez5AlTyIFxLk39W/sX07dDM8Fp1Z+xWnYIOZlTIRwfadyOilbjPT6xwfoLuAAAAADEst0Pkvg2TAAGKA5QcAABUtcAcscRn+wIAAAAABFla',
  lz4: 'BCJNGGRAp6sCAADxH0xpbmUgMDogdGhlIGxsYW1hIGFuZCBpdHMgY3JpYSB3YWxrIDAgc3RlcHMgdXAnAGFoaWxsLgo5AB8xOQALHzE5AAYfMjkACx80OQAGHzM5AAsfOTkABh80OQALLzE2OgAGHzU6AAsvMjU6AAYfNjoACx8zdAAHHzc6AAsfNOgABx84OgALHzZbAQcfOToACx84zgEHHzFBAgwvMTBDAggPRAINHzJ4AAgPRwIMLzE07gAHHzFKAgwvMTZkAQcfMU0CDR852gEHHzFPAg0PUAIIHzFRAgwvMjV4AAgPUwIMLzI48AAID1UCDC8zMmgBCA9XAgwvMzbgAQcfMlgCDB80WAIIHzJYAgwvNDR4AAgPWAIMLzQ48AAHHzJYAgwvNTJoAQcfMlgCDC81N+ABBx8yWAIMHzZYAggfMlgCDB82eAAJD1gCDB838AAJD1gCDB83aAEJD1gCDB844AEIHzNYAgwfOVgCCB8zWAIMHznQAggfM1gCDC8xMEkDCB8zWQIMLzEwwgMIHzNaAgwvMTE7BAgfM1sCDC8xMlwCCB8zXAIMLzEyLQUIHzNdAgwvMTOmBQgfM14CDC8xNB8GCB8zXwIMLzE1mAYIHzRgAgwvMTZhAggfNGECDC8xNooHCB80YgINHzcBCAgfNGICDR84eAgIHzRiAg0fOe8ICB80YgIMLzIwYgIIHzRiAgwvMjHdCQgfNGICDD8yMjCwBQcfNGICDD8yMzApBgcfNGICDD8yNDCiBgcfNWICDC8yNWICCB81YgIMLzI2egAJD2ICDC8yN/QACB81YgIMLzI4bgEIHzViAgwvMjnoAQgfNWICDB8zYgIJHzViAgwvMzHcAggfNWICDC8zMlYDCB81YgIMLzMz0AMIHzViAgwtMzRKBFBpbGwuCgAAAABMIOje',
  'lz4, linked blocks with checksums':
    'BCJNGHRAvYwCAADxH0xpbmUgMDogdGhlIGxsYW1hIGFuZCBpdHMgY3JpYSB3YWxrIDAgc3RlcHMgdXAnAGFoaWxsLgo5AB8xOQALHzE5AAYfMjkACx80OQAGHzM5AAsfOTkABh80qwAMHzY6AAYfNToACy8yNToABh82OgALHzN0AAcfNyABDA/oAAcfODoACx82WwEHHzk6AAsfOM4BBx8xQQIMLzEwQwIID0QCDR8yeAAID0cCDC8xNO4ABy8xMxECDQ9kAQcfMU0CDR852gEHHzFPAg0PUAIILzE2iwIND3gACA9TAgwvMjjwAAgPVQIMLzMyaAEIHzkFAw0PJgQID1gCDB80WAIIHzJYAgwvNDR4AAgPnwQNHzjwAAcfMlgCDC81MmgBBx8yWAIMLzU34AEHHzJYAgwfNlgCCB8yWAIMHzZ4AAkPWAIMHzfwAAkPWAIMHzdoAQkPrwQND+ABCB8zWAIMHzlYAggfM1gCDB850AIIHzOwBA0fMEkDCB8zsQQNHzDCAwgfM7IEDR8xOwQILzM1owUND1wCCC8zNj0ADQ8tBQgfM10CDC8xM6YFCC8zOB4GDg9uAQgPXwIMLzE1mAYIHzQQBw0fNmECCB80EQcNHzaKBwgfNGICDR83AQgIHzRiAg0fOHgICB80FAcOD+8ICB80FQcNHzBiAggfNBYHDR8x3QkIHzQXBw0vMjD0AAgPYgIMPzIzMG4BCA9iAgw/MjQw6AEHLzUwCggND2ICCB81YgIMLzI2egAJD2ICDC8yN/QACC81M4UIDQ9uAQgfNWICDC8yOcULCQ9iAgwfM2ICCR81yQsNHzHcAggvNTc9CQ4P9AAID3oJDR8z0AMIHzV7CQ0dNEoEUGlsbC4KU3nXuAAAAABMIOje',
  'lz4, the older form':
    'AiFMGKsCAADxH0xpbmUgMDogdGhlIGxsYW1hIGFuZCBpdHMgY3JpYSB3YWxrIDAgc3RlcHMgdXAnAGFoaWxsLgo5AB8xOQALHzE5AAYfMjkACx80OQAGHzM5AAsfOTkABh80OQALLzE2OgAGHzU6AAsvMjU6AAYfNjoACx8zdAAHHzc6AAsfNOgABx84OgALHzZbAQcfOToACx84zgEHHzFBAgwvMTBDAggPRAINHzJ4AAgPRwIMLzE07gAHHzFKAgwvMTZkAQcfMU0CDR852gEHHzFPAg0PUAIIHzFRAgwvMjV4AAgPUwIMLzI48AAID1UCDC8zMmgBCA9XAgwvMzbgAQcfMlgCDB80WAIIHzJYAgwvNDR4AAgPWAIMLzQ48AAHHzJYAgwvNTJoAQcfMlgCDC81N+ABBx8yWAIMHzZYAggfMlgCDB82eAAJD1gCDB838AAJD1gCDB83aAEJD1gCDB844AEIHzNYAgwfOVgCCB8zWAIMHznQAggfM1gCDC8xMEkDCB8zWQIMLzEwwgMIHzNaAgwvMTE7BAgfM1sCDC8xMlwCCB8zXAIMLzEyLQUIHzNdAgwvMTOmBQgfM14CDC8xNB8GCB8zXwIMLzE1mAYIHzRgAgwvMTZhAggfNGECDC8xNooHCB80YgINHzcBCAgfNGICDR84eAgIHzRiAg0fOe8ICB80YgIMLzIwYgIIHzRiAgwvMjHdCQgfNGICDD8yMjCwBQcfNGICDD8yMzApBgcfNGICDD8yNDCiBgcfNWICDC8yNWICCB81YgIMLzI2egAJD2ICDC8yN/QACB81YgIMLzI4bgEIHzViAgwvMjnoAQgfNWICDB8zYgIJHzViAgwvMzHcAggfNWICDC8zMlYDCB81YgIMLzMz0AMIHzViAgwtMzRKBFBpbGwuCg==',
};

async function unpacked(bytes: Uint8Array): Promise<string> {
  writeFileSync(join(folder, 'file'), bytes);
  const parts: Uint8Array[] = [];
  for await (const chunk of openInput(folder, 'file').chunks()) parts.push(chunk);
  return Buffer.concat(parts).toString();
}

for (const [name, base64] of Object.entries(packed)) {
  const bytes = Buffer.from(base64, 'base64');
  test(`${name}: unpacked to the byte, alone and after itself`, async () => {
    strictEqual(await unpacked(bytes), text);
    strictEqual(await unpacked(Buffer.concat([bytes, bytes])), text + text);
  });

  test(`${name}: a cut file ends with an error, a flipped byte with one or with the same text`, async () => {
    // The older form of lz4 has no end mark and no checksum: a cut between its blocks, or a flipped letter, shows nowhere.
    const hasChecks = !name.includes('older');
    for (let end = 9; end < bytes.length; end += 29)
      await rejects(unpacked(bytes.subarray(0, end)), /input|ends|xz|lz4/i);
    let noticed = 0;
    for (let at = 8; at < bytes.length; at += 17) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x10;
      const found = await unpacked(damaged).catch((error: { code: string }) => error.code);
      if (/^input\./.test(found)) noticed++;
      else if (hasChecks) strictEqual(found, text, `byte ${at}`);
    }
    ok(noticed > 3);
  });
}

test('two xz streams with padding between them; rubbish after the end is an error that keeps what came before', async () => {
  const bytes = Buffer.from(packed['xz, CRC-64']!, 'base64');
  strictEqual(await unpacked(Buffer.concat([bytes, Buffer.alloc(8), bytes])), text + text);
  await rejects(unpacked(Buffer.concat([bytes, Buffer.from('rubbish that is none')])), { code: 'input.xz' });
});
