using Postwright.Core.Tables;

namespace Postwright.Commands.Postmap;

/// <summary>Arguments as bytes: the runtime puts U+FFFD where they are not UTF-8, and a key or a table's value may well be such.</summary>
internal static class RawArguments
{
    /// <summary>The same arguments, with stray bytes as <see cref="TableText"/> has them.</summary>
    public static string[] Of(string[] arguments)
    {
        if (!Array.Exists(arguments, argument => argument.Contains('\uFFFD')))
        {
            return arguments;
        }

        try
        {
            // The command's own arguments are the last ones, whatever started it.
            byte[] all = File.ReadAllBytes("/proc/self/cmdline");
            var found = new List<string>();
            for (int start = 0; start < all.Length;)
            {
                int end = Array.IndexOf(all, (byte)0, start);
                end = end < 0 ? all.Length : end;
                found.Add(TableText.Decode(all.AsSpan(start, end - start)));
                start = end + 1;
            }

            return found.Count < arguments.Length ? arguments : [.. found.TakeLast(arguments.Length)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return arguments;
        }
    }
}
