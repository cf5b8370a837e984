using System.Runtime.InteropServices;

namespace Postwright.Core.Configuration.Postconf;

/// <summary>
/// What <c>postconf -T</c> tells of OpenSSL. It is the library that .NET's own TLS loads, asked at that moment: nothing else of
/// postconf needs it. Nothing here is compiled with a header of OpenSSL, so that its version stands for that of a header too.
/// </summary>
internal static unsafe class TlsLibrary
{
    private const int VersionText = 0;

    /// <summary>In the order in which .NET looks for them.</summary>
    private static readonly string[] Names = ["libcrypto.so.3", "libcrypto.so.1.1"];

    /// <summary>Postfix's words for what a server's key can be, and the library's.</summary>
    private static readonly (string Word, string Method)[] Algorithms = [("dsa", "DSA"), ("ecdsa", "EC"), ("rsa", "RSA")];

    /// <summary>The lines that answer <paramref name="mode"/>; null and a warning's text where there is no answer.</summary>
    public static IReadOnlyList<string>? Answer(string mode, out string? trouble)
    {
        trouble = null;
        if (mode is not ("compile-version" or "run-version" or "public-key-algorithms"))
        {
            trouble = $"unknown 'postconf -T' mode: {mode}";
            return null;
        }

        nint library = 0;
        if (!Array.Exists(Names, name => NativeLibrary.TryLoad(name, typeof(TlsLibrary).Assembly, DllImportSearchPath.SafeDirectories, out library)))
        {
            trouble = $"{Names[0]} cannot be loaded (install libssl3)";
            return null;
        }

        return mode == "public-key-algorithms"
            ? [.. Algorithms.Where(one => Knows(library, one.Method)).Select(one => one.Word)]
            : [Version(library)];
    }

    private static string Version(nint library)
    {
        var version = (delegate* unmanaged<int, byte*>)NativeLibrary.GetExport(library, "OpenSSL_version");
        return Marshal.PtrToStringUTF8((nint)version(VersionText)) ?? "";
    }

    private static bool Knows(nint library, string method)
    {
        var find = (delegate* unmanaged<nint*, byte*, int, nint>)NativeLibrary.GetExport(library, "EVP_PKEY_asn1_find_str");
        byte[] name = [.. System.Text.Encoding.ASCII.GetBytes(method), 0];
        nint engine = 0;
        fixed (byte* bytes = name)
        {
            return find(&engine, bytes, method.Length) != 0;
        }
    }
}
