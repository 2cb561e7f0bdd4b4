/**
 * Values by what they say, for a search that meets the same ones again and again: equal values have one number, and
 * one of them stands for all. Values are never changed once they are here.
 */

/** A number for each value, and the results of pure functions by the numbers of what they were given. */
export class Memo {
  readonly #numbers = new WeakMap<object, number>();
  readonly #byText = new Map<string, number>();
  readonly #values: object[] = [];
  readonly #results = new Map<string, unknown>();

  /** Returns the number of a value: the same for all that are equal, field by field. */
  numberOf(value: object): number {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    const text = this.textOf(value);
    const equal = this.#byText.get(text);
    const number = equal ?? this.#values.push(value) - 1;
    if (equal === undefined) this.#byText.set(text, number);
    this.#numbers.set(value, number);
    return number;
  }

  /** Returns the one value that stands for all that are equal to `value`. */
  one<T extends object>(value: T): T {
    return this.#values[this.numberOf(value)] as T;
  }

  /** Returns what all equal values say, and no others. */
  textOf(value: object): string {
    if (value instanceof Map) return `m${this.textOf([...value])}`;
    if (Array.isArray(value)) return `[${value.map((each) => this.#fieldText(each)).join()}]`;
    // A consent of the model has its claims as a field of its bytes.
    const bytes = value instanceof Uint8Array ? `x${value.join(' ')}` : '';
    let text = '';
    for (const name in value) {
      if (bytes !== '' && name >= '0' && name <= '9:') continue;
      const field = (value as Record<string, unknown>)[name];
      if (field !== undefined) text += `${name}:${this.#fieldText(field)},`;
    }
    return `${bytes}{${text}}`;
  }

  /** Returns what `make` returns, which depends on what `key` names alone. It may throw; then nothing is kept. */
  result<T>(key: string, make: () => T): T {
    const known = this.#results.get(key);
    if (known !== undefined) return known as T;
    const made = make();
    this.#results.set(key, made);
    return made;
  }

  #fieldText(field: unknown): string {
    if (typeof field === 'object' && field !== null) return `#${this.numberOf(field)}`;
    return typeof field === 'string' ? `'${field}'` : String(field);
  }
}
