import { Fragment } from "react";
import { A } from "../lib/nav.tsx";
import { parseInline, parseMarkdown } from "../lib/markdown.ts";

function Text({ text }: { text: string }) {
  return parseInline(text).map((part, i) => {
    if (part.type === "link")
      return part.href.startsWith("/") ? (
        <A key={i} href={part.href}>
          {part.text}
        </A>
      ) : (
        <a key={i} href={part.href} rel="noreferrer" target="_blank">
          {part.text}
        </a>
      );
    if (part.type === "bold") return <strong key={i}>{part.text}</strong>;
    if (part.type === "italic") return <em key={i}>{part.text}</em>;
    if (part.type === "code") return <code key={i}>{part.text}</code>;
    return <Fragment key={i}>{part.text}</Fragment>;
  });
}

/** Card text below a page's own h1 and h2, so its headings start at level three. */
export function Markdown({ source }: { source: string }) {
  return (
    <div className="prose">
      {parseMarkdown(source).map((block, i) => {
        if (block.type === "heading") {
          const H = `h${Math.min(6, Math.max(3, block.level + 1))}` as "h3";
          return (
            <H key={i}>
              <Text text={block.text} />
            </H>
          );
        }
        if (block.type === "code")
          return (
            <pre key={i} tabIndex={0} className="block">
              {block.text}
            </pre>
          );
        if (block.type === "list") {
          const L = block.ordered ? "ol" : "ul";
          return (
            <L key={i}>
              {block.items.map((item, n) => (
                <li key={n}>
                  <Text text={item} />
                </li>
              ))}
            </L>
          );
        }
        if (block.type === "table")
          return (
            <div key={i} className="table-scroll" tabIndex={0} role="group" aria-label="Table">
              <table>
                {block.head.some((h) => h) && (
                  <thead>
                    <tr>
                      {block.head.map((h, n) =>
                        h ? (
                          <th key={n} scope="col">
                            <Text text={h} />
                          </th>
                        ) : (
                          <td key={n} />
                        ),
                      )}
                    </tr>
                  </thead>
                )}
                <tbody>
                  {block.rows.map((row, r) => (
                    <tr key={r}>
                      {row.map((c, n) => (
                        <td key={n}>
                          <Text text={c} />
                        </td>
                      ))}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          );
        const P = block.type === "quote" ? "blockquote" : "p";
        return (
          <P key={i}>
            <Text text={block.text} />
          </P>
        );
      })}
    </div>
  );
}
