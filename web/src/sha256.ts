// SHA-256 and its HMAC, synchronous: the browser's own exist on secure origins only and answer one call at a time, which
// takes seconds for the hundred thousand ranks of a draw.

const K = new Uint32Array(64)
const START = new Uint32Array(8)
// The constants are the fractions of the roots of the first primes (FIPS 180-4).
for (let n = 2, i = 0; i < 64; n++) {
  let prime = true
  for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false
  if (!prime) continue
  if (i < 8) START[i] = fraction(Math.sqrt(n))
  K[i++] = fraction(Math.cbrt(n))
}

function fraction(x: number): number {
  return ((x - Math.floor(x)) * 2 ** 32) >>> 0
}

const w = new Uint32Array(64)

/** Takes one block of 64 bytes into the state. */
function compress(state: Uint32Array, block: Uint8Array, at: number): void {
  for (let i = 0; i < 16; i++, at += 4) w[i] = (block[at]! << 24) | (block[at + 1]! << 16) | (block[at + 2]! << 8) | block[at + 3]!
  for (let i = 16; i < 64; i++) {
    const a = w[i - 15]!
    const b = w[i - 2]!
    const s0 = (rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3)) | 0
    const s1 = (rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10)) | 0
    w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0
  }
  let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]
  for (let i = 0; i < 64; i++) {
    const t1 = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0
    const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  for (const [i, x] of [a, b, c, d, e, f, g, h].entries()) state[i] = state[i]! + x
}

function rotate(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n))
}

/** Hashes data after blocks that the state has taken already, before bytes long. */
function finish(state: Uint32Array, data: Uint8Array, before: number): Uint8Array {
  const padded = new Uint8Array(Math.ceil((data.length + 9) / 64) * 64)
  padded.set(data)
  padded[data.length] = 0x80
  const view = new DataView(padded.buffer)
  const length = before + data.length
  view.setUint32(padded.length - 8, Math.floor(length / 2 ** 29))
  view.setUint32(padded.length - 4, (length << 3) >>> 0)
  for (let at = 0; at < padded.length; at += 64) compress(state, padded, at)
  const out = new Uint8Array(32)
  const sum = new DataView(out.buffer)
  state.forEach((word, i) => sum.setUint32(4 * i, word))
  return out
}

export function sha256(data: Uint8Array): Uint8Array {
  return finish(START.slice(), data, 0)
}

/** Returns HMAC-SHA256 under a key of at most 64 bytes; the key is hashed once. */
export function hmac(key: Uint8Array): (data: Uint8Array) => Uint8Array {
  const keyed = (pad: number): Uint32Array => {
    const block = new Uint8Array(64).fill(pad)
    key.forEach((byte, i) => (block[i] = byte ^ pad))
    const state = START.slice()
    compress(state, block, 0)
    return state
  }
  const inner = keyed(0x36)
  const outer = keyed(0x5c)
  return (data) => finish(outer.slice(), finish(inner.slice(), data, 64), 64)
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('')
}

/** Reads lower-case hexadecimal digits; null for anything else. */
export function unhex(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text)) return null
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16))
}
