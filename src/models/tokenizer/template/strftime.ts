/** Dates as chat templates ask for them (`strftime_now("%d %b %Y")`), in English whatever the machine speaks. Pure. */

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  ...['January', 'February', 'March', 'April', 'May', 'June'],
  ...['July', 'August', 'September', 'October', 'November', 'December'],
];
const SHORT_CHARS = 3;

const two = (value: number) => String(value).padStart(2, '0');
const hour12 = (date: Date) => date.getHours() % 12 || 12;

const FIELDS: Readonly<Record<string, (date: Date) => string>> = {
  a: (date) => DAYS[date.getDay()]!.slice(0, SHORT_CHARS),
  A: (date) => DAYS[date.getDay()]!,
  b: (date) => MONTHS[date.getMonth()]!.slice(0, SHORT_CHARS),
  B: (date) => MONTHS[date.getMonth()]!,
  d: (date) => two(date.getDate()),
  H: (date) => two(date.getHours()),
  I: (date) => two(hour12(date)),
  m: (date) => two(date.getMonth() + 1),
  M: (date) => two(date.getMinutes()),
  p: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  S: (date) => two(date.getSeconds()),
  y: (date) => two(date.getFullYear() % 100),
  Y: (date) => String(date.getFullYear()),
  '%': () => '%',
};

/** As Python's, of the fields that templates use; `%-d` is `%d` without the zero. What is not known stays as it is. */
export function strftime(format: string, date: Date): string {
  return format.replace(/%(-?)([a-zA-Z%])/g, (whole, bare: string, name: string) => {
    const text = FIELDS[name]?.(date);
    if (text === undefined) return whole;
    return bare === '' ? text : text.replace(/^0(?=\d)/, '');
  });
}
