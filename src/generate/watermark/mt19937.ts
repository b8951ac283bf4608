const SIZE = 624;
const SHIFT = 397;

/** The Mersenne Twister (Matsumoto & Nishimura 1998), seeded like torch's CPU generator by the lower 32 bits of a seed. */
export class Mt19937 {
  readonly #state = new Uint32Array(SIZE);
  #next = SIZE;

  constructor(seed: bigint) {
    const state = this.#state;
    state[0] = Number(seed & 0xffffffffn);
    for (let i = 1; i < SIZE; i++) {
      const x = state[i - 1]! ^ (state[i - 1]! >>> 30);
      state[i] = Math.imul(1812433253, x) + i;
    }
  }

  /** The next 32 bits. */
  bits(): number {
    if (this.#next === SIZE) this.#twist();
    let y = this.#state[this.#next++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  #twist(): void {
    const state = this.#state;
    for (let i = 0; i < SIZE; i++) {
      const y = (state[i]! & 0x80000000) | (state[(i + 1) % SIZE]! & 0x7fffffff);
      state[i] = state[(i + SHIFT) % SIZE]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.#next = 0;
  }
}

/** The first `count` values of `torch.randperm(size)` on the CPU: a Fisher-Yates shuffle from the front. */
export function permutation(random: Mt19937, size: number, count = size): Int32Array {
  const values = new Int32Array(size);
  for (let i = 0; i < size; i++) values[i] = i;
  for (let i = 0; i < Math.min(count, size - 1); i++) {
    const j = i + (random.bits() % (size - i));
    const value = values[i]!;
    values[i] = values[j]!;
    values[j] = value;
  }
  return values.subarray(0, count);
}

/** Whether `value` is among the first `count` of that permutation. Follows the one value without making an array. */
export function isAmongFirst(random: Mt19937, size: number, count: number, value: number): boolean {
  let place = value;
  for (let i = 0; i < Math.min(count, size - 1); i++) {
    const j = i + (random.bits() % (size - i));
    if (j === place) return true;
    if (i === place) place = j;
  }
  return place < count;
}
