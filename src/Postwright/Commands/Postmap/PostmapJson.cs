using System.Text.Encodings.Web;

namespace Postwright.Commands.Postmap;

/// <summary>Output of <c>-j</c>: an object for each entry.</summary>
internal static class PostmapJson
{
    /// <summary>A line with one entry.</summary>
    public static string Entry(string key, string value) => $"{{\"{Quote(key)}\": \"{Quote(value)}\"}}\n";

    private static string Quote(string text) => JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(text);
}
