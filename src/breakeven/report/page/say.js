/* Numbers as the library writes them (breakeven.say). */
"use strict";

const Say = (() => {
  const grouped = (text) => text.replace(/^(-?\d+)/, (whole) => whole.replace(/\B(?=(\d{3})+$)/g, ","));
  const general = (value, digits) => {
    if (value === 0) return "0";
    const exponent = Number(value.toExponential(digits - 1).split("e")[1]);
    if (exponent < -4 || exponent >= digits) {
      const [head, tail] = value.toExponential(digits - 1).split("e");
      const sign = tail[0] === "-" ? "-" : "+";
      return `${head.includes(".") ? head.replace(/\.?0+$/, "") : head}e${sign}${tail.slice(1).padStart(2, "0")}`;
    }
    const fixed = value.toPrecision(digits);
    return fixed.includes(".") ? fixed.replace(/\.?0+$/, "") : fixed;
  };
  const whole = (value) => grouped(value.toFixed(0));
  const short = (value) => (Math.abs(value) >= 1000 ? whole(value) : general(value, 4));
  const count = (value) => {
    const size = Math.abs(value);
    for (const [limit, letter] of [[1e6, "M"], [1e4, "k"]]) {
      if (size >= limit * 0.9995) {
        const scaled = value / (letter === "M" ? 1e6 : 1e3), shown = Math.abs(scaled);
        return scaled.toFixed(shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0) + letter;
      }
    }
    return size >= 99.95 ? value.toFixed(0) : value.toFixed(1);
  };
  const amount = (value, unit, said = unit) => {
    if (unit === "h") return value < 1e6 ? `${whole(value)} h (${whole(value / 24)} days)` : `${general(value, 3)} h`;
    if (unit === "share") return Math.abs(value) < 9.995 ? `${grouped(general(value * 100, 3))} %` : `${whole(value * 100)} %`;
    if (unit === "x") return `${general(value, 3)}x`;
    if (unit === "USD") return Math.abs(value) >= 100 ? `${whole(value)} USD` : `${value.toFixed(2)} USD`;
    return `${unit === "tok/USD" ? count(value) : short(value)} ${said}`.trimEnd();
  };
  const price = (value) => (value >= 0.1 ? `${grouped((Math.round(value * 100 * (1 + 1e-12)) / 100).toFixed(2))} USD/h` : `${general(value, 3)} USD/h`);
  const digits = (value) => (0 < value && value < 0.0995 ? general(value, 2) : value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0));
  const interval = ([low, high], said) => (low === null || high === null ? "" : `${said(low)}–${said(high)}`);
  return { general, whole, short, count, amount, price, digits, interval };
})();
