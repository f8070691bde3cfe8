/** Line icons on a 16-pixel grid, drawn with the text's colour. */
const PATHS: Record<string, string> = {
  home: "M2.5 7.5 8 2.8l5.5 4.7M4 6.8v6.4h8V6.8M6.7 13.2V9.6h2.6v3.6",
  traces: "M2 3.5h7M4.5 6.5h8M6.5 9.5h5M4.5 12.5h9",
  prompts: "M3 2.5h10v8.5H7.5L4.7 13.5V11H3zM5.5 5.5h5M5.5 8h3",
  datasets: "M2.8 4.2c0-1 2.3-1.7 5.2-1.7s5.2.7 5.2 1.7-2.3 1.7-5.2 1.7-5.2-.7-5.2-1.7v7.6c0 1 2.3 1.7 5.2 1.7s5.2-.7 5.2-1.7V4.2M2.8 8c0 1 2.3 1.7 5.2 1.7s5.2-.7 5.2-1.7",
  training: "M2 13.5h12M2.5 3.5c2 0 2 6.5 5 6.5s3-2.5 6-2.5",
  evaluations: "M3 2.5h10v11H3zM5.2 6l1 1 1.8-2M5.2 10.3l1 1 1.8-2M10 6.3h1.2M10 10.6h1.2",
  models: "M8 2 13.5 5v6L8 14 2.5 11V5zM2.7 5.1 8 8l5.3-2.9M8 8v6",
  deployments: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
  playground: "M4.5 3.2 12.5 8l-8 4.8z",
  settings: "M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6M10 3v3M6 10v3",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4M10.2 10.2l3.3 3.3",
  help: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2M6.3 6.3c.2-2 3.5-1.900 3.5.1 0 1.300-1.700 1.300-1.800 2.600M8 11.300v.1",
  sun: "M8 5.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600M8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1 1M11.600 11.600l1 1M12.600 3.400l-1 1M4.400 11.600l-1 1",
  user: "M8 2.500a2.700 2.700 0 1 0 0 5.400 2.700 2.700 0 0 0 0-5.400M3 13.500c.3-3 2.500-4 5-4s4.700 1 5 4",
  chevron: "M4.500 6.500 8 10l3.500-3.500",
};

export function Icon({ name }: { name: string }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name] ?? ""} />
    </svg>
  );
}
