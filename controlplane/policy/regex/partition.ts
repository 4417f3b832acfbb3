// A partition of the numbers below n that is refined step by step: blocks are split by marking some of their members.

export class Partition {
  /** The block of each number. */
  readonly blockOf: Int32Array;
  private readonly members: Int32Array;
  private readonly placeOf: Int32Array;
  private readonly starts: number[] = [0];
  private readonly ends: number[];
  private readonly marked: number[] = [0];
  private readonly touched: number[] = [];

  /** One block of all numbers. */
  constructor(n: number) {
    this.blockOf = new Int32Array(n);
    this.members = Int32Array.from({ length: n }, (_, i) => i);
    this.placeOf = Int32Array.from(this.members);
    this.ends = [n];
  }

  get count(): number {
    return this.starts.length;
  }

  membersOf(block: number): Int32Array {
    return this.members.slice(this.starts[block], this.ends[block]);
  }

  sizeOf(block: number): number {
    return (this.ends[block] as number) - (this.starts[block] as number);
  }

  /** Marks a number; marking it again changes nothing. */
  mark(number: number): void {
    const block = this.blockOf[number] as number;
    const place = this.placeOf[number] as number;
    const border = (this.starts[block] as number) + (this.marked[block] as number);
    if (place < border) return;
    const other = this.members[border] as number;
    this.members[place] = other;
    this.placeOf[other] = place;
    this.members[border] = number;
    this.placeOf[number] = border;
    if (this.marked[block] === 0) this.touched.push(block);
    (this.marked[block] as number)++;
  }

  /** Splits every block that has both marked and other members; calls back with the block and the new one. */
  split(onSplit: (block: number, created: number) => void): void {
    for (const block of this.touched) {
      const marked = this.marked[block] as number;
      this.marked[block] = 0;
      if (marked === this.sizeOf(block)) continue;
      const start = this.starts[block] as number;
      const created = this.count;
      this.starts.push(start);
      this.ends.push(start + marked);
      this.marked.push(0);
      this.starts[block] = start + marked;
      for (let place = start; place < start + marked; place++) this.blockOf[this.members[place] as number] = created;
      onSplit(block, created);
    }
    this.touched.length = 0;
  }
}
