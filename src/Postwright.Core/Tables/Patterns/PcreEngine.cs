using System.Runtime.InteropServices;

namespace Postwright.Core.Tables.Patterns;

// pcre: patterns, by the system's PCRE2 (libpcre2-8). Patterns and texts are bytes, compiled to machine code where that is
// possible, matched with limits on backtracking and memory: a pattern that runs wild on some text is a temporary error.

/// <summary>libpcre2-8.</summary>
internal sealed unsafe partial class PcreEngine : IPatternEngine
{
    /// <summary>Backtracking steps for one match: about a second's work; real rules need thousands.</summary>
    private const uint MatchLimit = 10_000_000;

    /// <summary>KiB of memory for one match.</summary>
    private const uint HeapLimit = 20_000;

    private const string Library = "libpcre2-8.so.0";
    private const uint CaseLess = 0x8;
    private const uint DollarEndOnly = 0x10;
    private const uint DotAll = 0x20;
    private const uint Extended = 0x80;
    private const uint MultiLine = 0x400;
    private const uint Ungreedy = 0x40000;
    private const uint Anchored = 0x80000000;

    private const uint JitComplete = 1;
    private const uint NoJit = 0x2000;
    private const int NoMatch = -1;
    private const int JitStackLimit = -46;
    private const uint CaptureCount = 4;

    private static readonly Lazy<string?> Missing = new(FindLibrary);
    private static readonly Lazy<nint> Limits = new(MakeLimits);

    public string Kind => "pcre";

    public bool HasExclusions => false;

    public string? Unusable => Missing.Value;

    public uint DefaultOptions => CaseLess | DotAll;

    /// <summary>X asked old PCRE to refuse unknown escapes; PCRE2 always does.</summary>
    public bool IsObsolete(char letter) => letter == 'X';

    public bool TryOption(char letter, ref uint options)
    {
        uint bit = letter switch
        {
            'i' => CaseLess,
            'm' => MultiLine,
            's' => DotAll,
            'x' => Extended,
            'A' => Anchored,
            'E' => DollarEndOnly,
            'U' => Ungreedy,
            _ => 0u,
        };
        options ^= bit;
        return bit != 0;
    }

    // Its own "extended" ignores blanks and knows comments.
    public bool HasPlainText(uint options) => (options & Extended) == 0;

    public IPattern? Compile(string pattern, uint options, out string? error)
    {
        byte[] bytes = TableText.Encode(pattern);
        nint code;
        int status;
        nuint offset;
        fixed (byte* text = bytes.Length == 0 ? [0] : bytes)
        {
            code = pcre2_compile_8(text, (nuint)bytes.Length, options, out status, out offset, 0);
        }

        if (code == 0)
        {
            error = $"error in regex at offset {offset}: {ErrorText(status)}";
            return null;
        }

        // Where it cannot be compiled to machine code it is interpreted.
        _ = pcre2_jit_compile_8(code, JitComplete);
        error = null;
        return new Pattern(code);
    }

    /// <summary>Compiles what <see cref="PosixPattern"/> gives.</summary>
    public IPattern? CompilePosix(string translated, bool ignoreCase, out string? error) =>
        Compile(translated, (ignoreCase ? CaseLess : 0) | DotAll, out error);

    private static string ErrorText(int status)
    {
        byte* text = stackalloc byte[256];
        return pcre2_get_error_message_8(status, text, 256) < 0 ? $"unknown pcre2 error: {status}" : Marshal.PtrToStringUTF8((nint)text)!;
    }

    private static string? FindLibrary() => NativeLibrary.TryLoad(Library, typeof(PcreEngine).Assembly, null, out _)
        ? null
        : $"{Library} is needed for pcre tables, and cannot be loaded (install libpcre2-8-0)";

    private static nint MakeLimits()
    {
        nint context = pcre2_match_context_create_8(0);
        if (context != 0)
        {
            _ = pcre2_set_match_limit_8(context, MatchLimit);
            _ = pcre2_set_depth_limit_8(context, MatchLimit);
            _ = pcre2_set_heap_limit_8(context, HeapLimit);
        }

        return context;
    }

    private sealed class Pattern : SafeHandle, IPattern
    {
        [ThreadStatic]
        private static nint _results;

        [ThreadStatic]
        private static int _pairs;

        public Pattern(nint code)
            : base(0, ownsHandle: true)
        {
            SetHandle(code);
            uint groups = 0;
            _ = pcre2_pattern_info_8(code, CaptureCount, &groups);
            Groups = (int)groups;
        }

        public override bool IsInvalid => handle == 0;

        public int Groups { get; }

        public PatternOutcome Match(ReadOnlySpan<byte> subject, Span<int> spans, out string? error)
        {
            error = null;
            bool held = false;
            try
            {
                DangerousAddRef(ref held);
                nint results = Results(spans.Length / 2);
                if (results == 0)
                {
                    error = "out of memory";
                    return PatternOutcome.Failed;
                }

                int status;
                fixed (byte* text = subject.IsEmpty ? [0] : subject)
                {
                    status = pcre2_match_8(handle, text, (nuint)subject.Length, 0, 0, results, Limits.Value);
                    if (status == JitStackLimit)
                    {
                        // The machine code's stack is small; the interpreter's is the heap, with its limit.
                        status = pcre2_match_8(handle, text, (nuint)subject.Length, 0, NoJit, results, Limits.Value);
                    }
                }

                if (status < 0)
                {
                    error = status == NoMatch ? null : ErrorText(status);
                    return status == NoMatch ? PatternOutcome.NoMatch : PatternOutcome.Failed;
                }

                CopySpans(results, spans);
                return PatternOutcome.Match;
            }
            finally
            {
                if (held)
                {
                    DangerousRelease();
                }
            }
        }

        /// <summary>
        /// Where the library puts what it found: one for each thread, of the size that its largest replacement needed.
        /// Only as many groups are read as the pattern has, and those are written by every match.
        /// </summary>
        private static nint Results(int pairs)
        {
            if (_pairs < pairs)
            {
                pcre2_match_data_free_8(_results);
                _results = pcre2_match_data_create_8((uint)Math.Max(pairs, 16), 0);
                _pairs = _results == 0 ? 0 : Math.Max(pairs, 16);
            }

            return _results;
        }

        protected override bool ReleaseHandle()
        {
            pcre2_code_free_8(handle);
            return true;
        }

        private static void CopySpans(nint results, Span<int> spans)
        {
            int pairs = (int)Math.Min(pcre2_get_ovector_count_8(results), (uint)(spans.Length / 2));
            nuint* vector = pcre2_get_ovector_pointer_8(results);
            spans.Fill(-1);
            for (int i = 0; i < pairs * 2; i++)
            {
                spans[i] = vector[i] == nuint.MaxValue ? -1 : (int)vector[i];
            }
        }
    }

    [LibraryImport(Library)]
    private static partial nint pcre2_compile_8(byte* pattern, nuint length, uint options, out int error, out nuint offset, nint context);

    [LibraryImport(Library)]
    private static partial int pcre2_jit_compile_8(nint code, uint options);

    [LibraryImport(Library)]
    private static partial int pcre2_match_8(nint code, byte* subject, nuint length, nuint start, uint options, nint results, nint context);

    [LibraryImport(Library)]
    private static partial nint pcre2_match_data_create_8(uint pairs, nint context);

    [LibraryImport(Library)]
    private static partial void pcre2_match_data_free_8(nint results);

    [LibraryImport(Library)]
    private static partial uint pcre2_get_ovector_count_8(nint results);

    [LibraryImport(Library)]
    private static partial nuint* pcre2_get_ovector_pointer_8(nint results);

    [LibraryImport(Library)]
    private static partial void pcre2_code_free_8(nint code);

    [LibraryImport(Library)]
    private static partial int pcre2_pattern_info_8(nint code, uint what, uint* where);

    [LibraryImport(Library)]
    private static partial int pcre2_get_error_message_8(int status, byte* text, nuint size);

    [LibraryImport(Library)]
    private static partial nint pcre2_match_context_create_8(nint context);

    [LibraryImport(Library)]
    private static partial int pcre2_set_match_limit_8(nint context, uint limit);

    [LibraryImport(Library)]
    private static partial int pcre2_set_depth_limit_8(nint context, uint limit);

    [LibraryImport(Library)]
    private static partial int pcre2_set_heap_limit_8(nint context, uint limit);
}
