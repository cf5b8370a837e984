namespace Postwright.Testing.Processes;

/// <summary>Programs of the machine that tests talk to, looked for where packages put them.</summary>
public static class InstalledProgram
{
    private static readonly string[] Folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin"];

    /// <summary>The path of a program, or null where it is not installed.</summary>
    public static string? Find(string name) => Folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
}
