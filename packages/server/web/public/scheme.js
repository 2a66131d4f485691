// Before the first paint: the colours that were chosen, if any were.
try {
  const chosen = JSON.parse(localStorage.getItem('headrace.scheme'));
  if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.scheme = chosen;
} catch {
  // Without storage the system decides.
}
