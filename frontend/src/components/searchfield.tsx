/** A field to search a list by; tells what is wanted at Enter or when it is left, and nothing when that is as before. */
export function SearchField({
  label,
  placeholder,
  value,
  onSearch,
}: {
  label: string;
  placeholder: string;
  value: string;
  onSearch: (wanted: string) => void;
}) {
  const tell = (text: string) => text.trim() !== value && onSearch(text.trim());
  return (
    <input
      className="grow"
      type="search"
      aria-label={label}
      placeholder={placeholder}
      key={value}
      defaultValue={value}
      onKeyDown={(e) => {
        if (e.key === "Enter") tell(e.currentTarget.value);
      }}
      onBlur={(e) => tell(e.target.value)}
    />
  );
}
