/** Whether an object is plain data, which inherits nothing but what every object does. */
export function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype;
}
