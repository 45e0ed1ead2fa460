// The page works without this script: it copies values, prints local times, updates what changes, and hands the secret
// of a link over, which stands in the fragment so that no server logs it.
'use strict';
(() => {
  const status = document.querySelector('[role=status]');
  const say = (text) => { if (status) status.textContent = text; };

  const signIn = document.getElementById('sign-in');
  const secret = location.hash.slice(1);
  if (signIn && secret.startsWith('link_')) {
    history.replaceState(null, '', location.pathname);
    signIn.elements.token.value = secret;
    say(status.dataset.wait);
    signIn.submit();
    return;
  }

  const localTimes = (root) => {
    for (const time of root.querySelectorAll('time[datetime]')) {
      const at = new Date(time.dateTime);
      if (!isNaN(at)) {
        time.title = time.textContent;
        time.textContent = at.toLocaleString(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' });
      }
    }
  };

  // Where the reader looks, and for who hears the page; then the button is as before.
  const acknowledge = (button) => {
    const label = button.textContent;
    button.textContent = document.body.dataset.copied;
    say(document.body.dataset.copied);
    setTimeout(() => { button.textContent = label; say(''); }, 3000);
  };

  const copyButtons = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll('[data-copy]')) {
      button.hidden = false;
      button.addEventListener('click', async () => {
        const value = document.getElementById(button.dataset.copy);
        // A frame may not be allowed to copy: then the value is selected.
        await navigator.clipboard.writeText(value.textContent).then(
          () => acknowledge(button), () => getSelection().selectAllChildren(value));
      });
    }
  };

  // Replaces one part of the page by what the server says now. Nobody is interrupted who reads an entry.
  const renew = async (part) => {
    if (document.hidden || part.contains(document.activeElement) || part.querySelector('details[open]')) return;
    const answer = await fetch(location.href, { headers: { 'x-refresh': '1' } }).catch(() => null);
    if (!answer || !answer.ok) return;
    const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const label = part.getAttribute('aria-labelledby');
    const same = part.id ? next.getElementById(part.id) : next.querySelector(`[aria-labelledby="${label}"]`);
    if (same) {
      part.replaceChildren(...same.childNodes);
      localTimes(part);
    }
  };

  for (const part of document.querySelectorAll('[data-live]')) {
    setInterval(() => renew(part), 1000 * part.dataset.live);
  }
  for (const box of document.querySelectorAll('[data-live-switch]')) {
    box.closest('.live').hidden = false;
    setInterval(() => { if (box.checked) renew(document.getElementById(box.dataset.liveSwitch)); }, 10000);
  }
  localTimes(document);
  copyButtons(document);
})();
