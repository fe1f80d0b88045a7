// Which windows were open, and where: kept by this browser, for this user.

const NAME = "tender.desktop";
const WINDOWS_MAX = 50;
const number = (value, usual) => (Number.isFinite(value) ? value : usual);

/** Returns the windows of a user as they were kept; what cannot be read is nothing. */
export function restore(user) {
  try {
    const kept = JSON.parse(localStorage.getItem(`${NAME}.${user}`) ?? "[]");
    return (Array.isArray(kept) ? kept : []).slice(0, WINDOWS_MAX).filter((one) => typeof one?.identifier === "string").map((one) => ({
      identifier: one.identifier,
      state: ["normal", "minimised", "maximised"].includes(one.state) ? one.state : "normal",
      wasMaximised: one.wasMaximised === true,
      x: number(one.x, 40),
      y: number(one.y, 40),
      width: number(one.width, 900),
      height: number(one.height, 600),
    }));
  } catch {
    return [];
  }
}

/** Keeps windows, those at the back first; a browser that keeps nothing is no fault. */
export function keep(user, windows) {
  try {
    localStorage.setItem(`${NAME}.${user}`, JSON.stringify(windows));
  } catch {
    // Private windows and full stores keep nothing: the desktop works on.
  }
}
