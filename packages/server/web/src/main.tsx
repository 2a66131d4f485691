import './style/base.css';
import './style/layout.css';
import './style/turns.css';
import './style/text.css';
import './style/sheets.css';
import { render } from 'preact';
import { Page } from './page.ts';
import { App } from './ui/app.tsx';

const root = document.getElementById('page');
if (root !== null) {
  const page = new Page();
  render(<App page={page} />, root);
  void page.start();
}
