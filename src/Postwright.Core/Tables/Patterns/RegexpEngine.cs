using System.Runtime.InteropServices;

namespace Postwright.Core.Tables.Patterns;

// regexp: patterns are POSIX regular expressions, compiled and matched by the C library, so that they mean what they mean
// to Postfix. Its matcher has no limit, and its time grows with the square of the text, or worse where there are back-references:
// so patterns with these, and longer texts, are run by PCRE2, which has. No text is left unmatched for its length alone.

/// <summary>The C library's regcomp and regexec.</summary>
/// <param name="lineLengthLimit">The longest text in bytes that the C library matches; longer ones are mostly headers.</param>
internal sealed unsafe partial class RegexpEngine(int lineLengthLimit) : IPatternEngine
{
    private const uint Extended = 1;
    private const uint IgnoreCase = 2;
    internal const uint NewLine = 4;
    private const int StartEnd = 4;
    private const int NoMatch = 1;

    /// <summary>regex_t is 64 bytes on 64-bit glibc, with re_nsub at 48; there is room for more.</summary>
    private const int RegexSize = 256;
    private const int GroupsOffset = 48;

    public string Kind => "regexp";

    public bool HasExclusions => true;

    public string? Unusable => null;

    public uint DefaultOptions => Extended | IgnoreCase;

    public bool TryOption(char letter, ref uint options)
    {
        uint bit = letter switch { 'i' => IgnoreCase, 'm' => NewLine, 'x' => Extended, _ => 0u };
        options ^= bit;
        return bit != 0;
    }

    public bool HasPlainText(uint options) => (options & Extended) != 0;

    public IPattern? Compile(string pattern, uint options, out string? error)
    {
        void* regex = NativeMemory.AllocZeroed(RegexSize);
        int status = regcomp(regex, [.. TableText.Encode(pattern), 0], (int)options);
        if (status != 0)
        {
            byte* text = stackalloc byte[256];
            regerror(status, regex, text, 256);
            NativeMemory.Free(regex);
            error = Marshal.PtrToStringUTF8((nint)text);
            return null;
        }

        if (HasBackReference(pattern))
        {
            regfree(regex);
            NativeMemory.Free(regex);
            return CompileLimited(pattern, options, out error);
        }

        error = null;
        return new Pattern(regex, lineLengthLimit, () => (CompileLimited(pattern, options, out string? trouble), trouble));
    }

    /// <summary>The same for PCRE2.</summary>
    internal static IPattern? CompileLimited(string pattern, uint options, out string? error)
    {
        var pcre = new PcreEngine();
        bool ignoresCase = (options & IgnoreCase) != 0;
        string? translated = PosixPattern.Translate(pattern, (options & Extended) != 0, ignoresCase, (options & NewLine) != 0);
        error = pcre.Unusable ?? (translated is null ? "this expression cannot be matched with a limit" : null);
        return error is null ? pcre.CompilePosix(translated!, ignoresCase, out error) : null;
    }

    /// <summary>A backslash and a digit outside brackets.</summary>
    internal static bool HasBackReference(string pattern)
    {
        for (int i = 0; i < pattern.Length; i++)
        {
            if (pattern[i] == '[')
            {
                // "]" counts as itself when it is the first in the brackets.
                int close = pattern.IndexOf(']', Math.Min(i + (pattern.AsSpan(i + 1).StartsWith("^") ? 3 : 2), pattern.Length));
                i = close < 0 ? pattern.Length : close;
            }
            else if (pattern[i] == '\\' && i + 1 < pattern.Length && char.IsAsciiDigit(pattern[++i]))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Freed when the rules that it belongs to are replaced and no lookup uses them any more.</summary>
    private sealed class Pattern : SafeHandle, IPattern
    {
        private readonly int _longest;
        private readonly Lazy<(IPattern? Pattern, string? Error)> _limited;

        /// <param name="regex">regex_t.</param>
        /// <param name="longest">The longest text for it, in bytes.</param>
        /// <param name="limited">Makes the pattern for longer texts.</param>
        public Pattern(void* regex, int longest, Func<(IPattern? Pattern, string? Error)> limited)
            : base(0, ownsHandle: true)
        {
            _longest = longest;
            _limited = new(limited);
            SetHandle((nint)regex);
            Groups = (int)Math.Min(*(ulong*)((byte*)regex + GroupsOffset), 1000);
        }

        public override bool IsInvalid => handle == 0;

        public int Groups { get; }

        public PatternOutcome Match(ReadOnlySpan<byte> subject, Span<int> spans, out string? error)
        {
            error = null;
            if (subject.Length > _longest)
            {
                (IPattern? limited, error) = _limited.Value;
                return limited?.Match(subject, spans, out error) ?? PatternOutcome.Failed;
            }

            bool held = false;
            try
            {
                DangerousAddRef(ref held);
                int count = spans.Length / 2;
                spans[0] = 0;
                spans[1] = subject.Length;
                int status;
                fixed (byte* text = subject.IsEmpty ? [0] : subject)
                fixed (int* results = spans)
                {
                    status = regexec((void*)handle, text, (nuint)count, results, StartEnd);
                }

                if (status is not (0 or NoMatch))
                {
                    byte* words = stackalloc byte[256];
                    regerror(status, (void*)handle, words, 256);
                    error = Marshal.PtrToStringUTF8((nint)words);
                    return PatternOutcome.Failed;
                }

                return status == 0 ? PatternOutcome.Match : PatternOutcome.NoMatch;
            }
            finally
            {
                if (held)
                {
                    DangerousRelease();
                }
            }
        }

        protected override bool ReleaseHandle()
        {
            regfree((void*)handle);
            NativeMemory.Free((void*)handle);
            return true;
        }
    }

    [LibraryImport("libc")]
    private static partial int regcomp(void* regex, byte[] pattern, int flags);

    [LibraryImport("libc")]
    private static partial int regexec(void* regex, byte* text, nuint count, int* spans, int flags);

    [LibraryImport("libc")]
    private static partial nuint regerror(int status, void* regex, byte* text, nuint size);

    [LibraryImport("libc")]
    private static partial void regfree(void* regex);
}
